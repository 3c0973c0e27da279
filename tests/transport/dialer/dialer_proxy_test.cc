// A Dialer's path through proxies, on a simulated kernel: each kind, chains of them, refusals, and
// ends at every step.
#include "tests/support/proxy_scene.h"

#include <doctest/doctest.h>

namespace uaio::dialer_proxy_test {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Line = ProxyScript::Line;

const std::string kConnect =
    "CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\nProxy-Connection: "
    "Keep-Alive\r\n\r\n";
const std::string kGranted5 = "\5\0\0\1\0\0\0\0\0\0"s;
const std::string kName = "\5\1\0\3\13origin.test\0\x50"s;

ProxyScript http_proxy(const std::string& answer, bool close = false) {
    return {{Line{kConnect, answer, close}}};
}

ProxyScript socks5_proxy(const std::string& request, const std::string& answer) {
    return {{Line{"\5\1\0"s, "\5\0"s}, Line{request, answer}}};
}

TEST_CASE("a dialer connects through an HTTP proxy and loses no early byte (49)") {
    ProxyScene scene;
    scene.serve(1080, http_proxy("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"));
    CHECK(scene.dial("http://origin.test", quiet_options("http://proxy.test")) == success(0));
    CHECK(scene.echoes("early"));
    CHECK(scene.report.phase == DialPhase::done);
    CHECK(scene.report.proxy_status == 200);
    CHECK(scene.report.peer == Endpoint::loopback(1080));
    CHECK((scene.report.attempts == 1 && scene.report.connections == 1));
    CHECK(scene.is_clean());
}

TEST_CASE("a dialer connects through SOCKS proxies of every kind (58, 62)") {
    const std::string granted4 = "\0\x5a\0\0\0\0\0\0"s;
    struct Row {
        const char* proxy;
        ProxyScript script;
        std::string early = "";
    };
    for (const Row& row : std::initializer_list<Row>{
             {"socks5h://proxy.test", socks5_proxy(kName, kGranted5 + "early"), "early"},
             // Resolved here, IPv6 first.
             {"socks5://proxy.test",
              socks5_proxy("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x50"s, kGranted5)},
             {"socks4://proxy.test", {{Line{"\4\1\0\x50\x7f\0\0\1\0"s, granted4 + "a"}}}, "a"},
             {"socks4a://u@proxy.test", {{Line{"\4\1\0\x50\0\0\0\1u\0origin.test\0"s, granted4}}}},
             {"socks5h://u:p@proxy.test",
              {{Line{"\5\2\0\2"s, "\5\2"s}, Line{"\1\1u\1p"s, "\1\0"s},
                Line{kName, kGranted5}}}}}) {
        ProxyScene scene;
        scene.serve(1080, row.script);
        CHECK(scene.dial("http://origin.test", quiet_options(row.proxy)) == success(0));
        CHECK(scene.echoes(row.early));
        CHECK(scene.is_clean());
    }
}

TEST_CASE("a dialer reaches a SOCKS proxy by its unix socket (65)") {
    ProxyScene scene;
    scene.serve("/run/proxy.sock", socks5_proxy(kName, kGranted5 + "early"));
    CHECK(scene.dial("http://origin.test", quiet_options("socks5h://localhost/run/proxy.sock")) ==
          success(0));
    CHECK(scene.echoes("early"));
    CHECK(scene.report.resolve == 0ns);
    CHECK(!scene.report.peer);
    CHECK(scene.is_clean());
}

TEST_CASE("a dialer reaches the proxy through the pre-proxy (64)") {
    const std::string to_proxy = "\5\1\0\3\13second.test\4\x39"s;
    for (const char* second : {"http://second.test:1081", "socks5h://second.test:1081"}) {
        ProxyScene scene;
        const bool is_http = second[0] == 'h';
        const std::string http_answer = "HTTP/1.1 200 OK\r\n\r\nearly";
        std::vector<Line> lines{Line{"\5\1\0"s, "\5\0"s}, Line{to_proxy, kGranted5}};
        if (is_http) {
            lines.push_back({kConnect, http_answer});
        } else {
            lines.push_back({"\5\1\0"s, "\5\0"s});
            lines.push_back({kName, kGranted5 + "early"});
        }
        scene.serve(1080, ProxyScript{lines});
        DialOptions options = quiet_options(second);
        options.pre_proxy = "socks5h://proxy.test";
        CHECK(scene.dial("http://origin.test", options) == success(0));
        CHECK(scene.echoes("early"));
        CHECK(scene.is_clean());
    }
}

TEST_CASE("a dialer answers the 407 of a proxy that closes on another connection (53)") {
    const std::string challenge =
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=r\r\nConnection: close\r\n\r\n";
    const std::string authorized =
        "CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\nProxy-Authorization: Basic "
        "dTpw\r\nProxy-Connection: Keep-Alive\r\n\r\n";
    ProxyScene scene;
    scene.serve(1080, [&](std::size_t connection) {
        return connection == 0 ? http_proxy(challenge, true)
                               : ProxyScript{{Line{authorized, "HTTP/1.1 200 OK\r\n\r\n"}}};
    });
    DialOptions options = quiet_options("http://u:p@proxy.test");
    options.proxy_authentication = ProxyAuthentication::any;
    CHECK(scene.dial("http://origin.test", options) == success(0));
    CHECK(scene.echoes());
    CHECK((scene.report.connections == 2 && scene.report.proxy_status == 200));
    CHECK(scene.is_clean());
}

TEST_CASE("a refusal by a proxy has an error and a code (51, 52, 54, 60)") {
    struct Row {
        const char* proxy;
        ProxyScript script;
        std::error_code error;
        int status = 0;
        int reply = 0;
    };
    for (const Row& row : std::initializer_list<Row>{
             {"http://proxy.test", http_proxy("HTTP/1.1 403 No\r\n\r\n"), Errc::proxy_refused, 403},
             {"http://proxy.test", http_proxy("HTTP/1.1 407 Who\r\n\r\n"),
              ProxyErrc::authentication_required, 407},
             {"http://proxy.test", http_proxy("garbage"), ProxyErrc::bad_reply},
             {"http://proxy.test", http_proxy("HTTP/1.1 2", true), ProxyErrc::closed_early},
             {"http://proxy.test", http_proxy("", true), ProxyErrc::closed_early},
             {"http://proxy.test", http_proxy(std::string(20000, 'x')), ProxyErrc::bad_reply},
             {"http://proxy.test", http_proxy("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x')),
              ProxyErrc::reply_too_long},
             {"socks5h://proxy.test", socks5_proxy(kName, "\5\5\0\1\0\0\0\0\0\0"s),
              ProxyErrc::connection_refused, 0, 5},
             {"socks4://proxy.test",
              {{Line{"\4\1\0\x50\x7f\0\0\1\0"s, "\0\x5b\0\0\0\0\0\0"s}}},
              ProxyErrc::request_rejected,
              0,
              91}}) {
        ProxyScene scene;
        scene.serve(1080, row.script);
        CHECK(scene.dial("http://origin.test", quiet_options(row.proxy)) == failure(row.error));
        CHECK(scene.report.phase == DialPhase::proxy);
        CHECK(scene.report.proxy_status == row.status);
        CHECK(scene.report.socks_reply == row.reply);
        CHECK(!scene.stream);
        CHECK(scene.is_clean());
    }
}

TEST_CASE("a failed lookup or connect is not reported as an error of the proxy (24, 55)") {
    Resolver empty(
        {.threads = 0, .lookup = [](const std::string&, AddressFamily, std::vector<Endpoint>&) {
             return make_error_code(ResolveErrc::name_not_found);
         }});
    const auto dial = [&](DialOptions options, DialPhase phase) {
        ProxyScene scene;
        options.resolver = &empty;
        const Ended ended = scene.dial("http://origin.test", options);
        CHECK(scene.report.phase == phase);
        CHECK(scene.is_clean());
        CHECK(ended.calls == 1);
        return ended.error;
    };
    DialOptions options = quiet_options();
    options.resolve.clear();
    CHECK(dial(options, DialPhase::resolve) == ResolveErrc::name_not_found);
    options.proxy = "http://proxy.test";
    CHECK(dial(options, DialPhase::resolve) == ProxyErrc::name_not_resolved);
    const std::error_code refused{ECONNREFUSED, std::system_category()};
    CHECK(dial(quiet_options("http://proxy.test"), DialPhase::connect) == refused);
    CHECK(dial(quiet_options(), DialPhase::connect) == refused);
    options = quiet_options("foo://proxy.test");
    CHECK(dial(options, DialPhase::begin) == ProxyErrc::unsupported_scheme);
    options = quiet_options("socks4://127.0.0.1");
    options.resolve = {"origin.test:80:::1"};
    ProxyScene scene;
    scene.serve(1080, ProxyScript{});
    CHECK(scene.dial("http://origin.test", options) == failure(ProxyErrc::no_version_4_address));
    CHECK(scene.dial("https://origin.test:80", quiet_options("socks4a://127.0.0.1")).error);
}

TEST_CASE("a dial through a silent proxy times out in every phase (45)") {
    for (const char* proxy :
         {"http://proxy.test", "socks5h://proxy.test", "socks4a://proxy.test"}) {
        for (const bool by_option : {true, false}) {
            ProxyScene scene;
            scene.serve(1080, ProxyScript{{}, false});
            const Clock::time_point begun = scene.engine.now();
            DialOptions options = quiet_options(proxy);
            if (by_option) options.timeout = 300ms;
            Dialer dialer("http://origin.test", options);
            Operation connect(scene.engine);
            if (!by_option) connect.aio.set_timeout(300ms);
            dialer.connect(connect.aio, scene.stream, scene.report);
            CHECK(connect.aio.wait() == Errc::timed_out);
            const auto taken = scene.engine.now() - begun;
            CHECK((taken >= 300ms && taken < 301ms));
            CHECK(scene.report.phase == DialPhase::proxy);
            CHECK(scene.report.proxy >= 300ms);
            CHECK(scene.is_clean());
        }
    }
}

TEST_CASE("a PROXY header is sent after the proxies' handshakes and before all other bytes (66)") {
    ProxyScene scene;
    scene.serve(80, ProxyScript{});
    DialOptions options = quiet_options();
    options.resolve = {"origin.test:80:127.0.0.1"};
    options.proxy_header = ProxyHeader::v1;
    REQUIRE(scene.dial("http://origin.test", options) == success(0));
    Operation write(scene.engine, "x");
    scene.stream->write_all(write.aio);
    CHECK(!write.aio.wait());
    scene.kernel.advance(0ns);
    const std::string& got = scene.peers[0]->received();
    CHECK(got.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
    CHECK(got.ends_with(" 80\r\nx"));
    ProxyScene tunnel;
    ProxyScript script = http_proxy("HTTP/1.1 200 OK\r\n\r\n");
    tunnel.serve(1080, script);
    options = quiet_options("http://proxy.test");
    options.proxy_header = ProxyHeader::v2;
    REQUIRE(tunnel.dial("http://origin.test", options) == success(0));
    tunnel.kernel.advance(0ns);
    CHECK(tunnel.peers[0]->received().starts_with(kConnect + "\r\n\r\n\0\r\nQUIT\n\x21\x11"s));
}

TEST_CASE("a connect-to rule changes the target, also through a proxy") {
    ProxyScene scene;
    scene.serve(8080, ProxyScript{});
    DialOptions options = quiet_options();
    options.connect_to = {"origin.test:80:127.0.0.1:8080"};
    CHECK(scene.dial("http://origin.test", options) == success(0));
    CHECK(scene.report.peer == Endpoint::loopback(8080));
    scene.serve(1080, ProxyScript{{Line{"CONNECT 127.0.0.1:8080 HTTP/1.1\r\nHost: "
                                        "127.0.0.1:8080\r\nProxy-Connection: Keep-Alive\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\n\r\n"}}});
    options.proxy = "http://proxy.test";
    CHECK(scene.dial("http://origin.test", options) == success(0));
    CHECK(scene.echoes());
}

TEST_CASE("a dial cancelled or expired at every step leaks nothing") {
    struct Row {
        const char* proxy;
        ProxyScript script;
    };
    for (const Row& row : std::initializer_list<Row>{
             {"", ProxyScript{}},
             {"http://proxy.test", http_proxy("HTTP/1.1 200 OK\r\n\r\nearly")},
             {"socks5h://proxy.test", socks5_proxy(kName, kGranted5)}}) {
        for (const Errc reason : {Errc::canceled, Errc::timed_out}) {
            std::uint64_t last = 1;
            std::uint64_t ended_early = 0;
            for (std::uint64_t step = 0; step <= last; ++step) {
                bool over = false;
                ProxyScene scene(
                    step,
                    {.short_write = 300, .short_read = 300, .late_cancel = 400, .reorder = 300});
                scene.serve(*row.proxy ? 1080 : 80, row.script);
                Dialer dialer("http://origin.test", quiet_options(row.proxy));
                Operation connect(scene.engine);
                dialer.connect(connect.aio, scene.stream, scene.report);
                scene.kernel.at_step(step, [&] {
                    if (!over) connect.aio.abort(reason);
                });
                static_cast<void>(connect.aio.wait());
                over = true;
                last = scene.kernel.steps();
                const Ended ended = connect.ended();
                REQUIRE(ended.calls == 1);
                REQUIRE((!ended.error || ended.error == reason));
                ended_early += static_cast<bool>(ended.error);
                REQUIRE(static_cast<bool>(scene.stream) == !ended.error);
                // All sockets but the stream's have been closed before the callback.
                if (ended.error) REQUIRE(scene.kernel.open_descriptors() == 0);
                if (!ended.error) REQUIRE(scene.echoes(*row.proxy == 'h' ? "early" : ""));
                REQUIRE(scene.is_clean());
            }
            CHECK(last >= 5);
            CHECK(ended_early >= last / 4);
        }
    }
}

TEST_CASE("a dial ends with closed when its engine is destroyed") {
    std::error_code result;
    StreamPtr stream;
    {
        SimKernel kernel(1);
        kernel.listen_peer(1080);
        Dialer dialer("http://origin.test", quiet_options("http://proxy.test"));
        std::optional<Engine> engine(std::in_place, kernel);
        // It must be destroyed before its engine.
        auto* const aio = new Aio(*engine, [&](Aio& done) {
            result = done.result();
            delete &done;
        });
        dialer.connect(*aio, stream);
        for (int turn = 0; turn < 5; ++turn)
            engine->run_once(1ms);
        engine.reset();
    }
    CHECK(result == Errc::closed);
    CHECK(!stream);
}

TEST_CASE("a dial with a stopped or expired Aio opens no connection") {
    ProxyScene scene;
    Dialer dialer("http://origin.test", quiet_options());
    Operation stopped(scene.engine);
    stopped.aio.stop();
    dialer.connect(stopped.aio, scene.stream);
    CHECK(stopped.aio.wait() == Errc::canceled);
    Operation late(scene.engine);
    late.aio.set_timeout(0ns);
    dialer.connect(late.aio, scene.stream);
    CHECK(late.aio.wait() == Errc::timed_out);
    CHECK(scene.is_clean());
}

}  // namespace uaio::dialer_proxy_test
