// The place of TLS among the steps of a dial, with a layer that substitutes for TLS.
#include <uaio/config.h>

#include "tests/support/mask_stream.h"
#include "tests/support/proxy_scene.h"

#include <doctest/doctest.h>

namespace uaio::dialer_tls_test {

using namespace std::chrono_literals;
using Line = ProxyScript::Line;

constexpr unsigned char kOuter = 0x55;
constexpr unsigned char kInner = 0x0f;

const std::string kConnect =
    "CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\nProxy-Connection: "
    "Keep-Alive\r\n\r\n";
const std::string kGranted = "HTTP/1.1 200 OK\r\n\r\n";
const std::string kToProxy = "MASK proxy.test\n";
const std::string kToOrigin = "MASK origin.test\n";

struct Secured {
    Secured() {
        options.start_tls = start_mask(kInner, origin_hosts);
        options.start_proxy_tls = start_mask(kOuter, proxy_hosts);
        options.resolve = {"origin.test:443:127.0.0.1", "proxy.test:443:127.0.0.1",
                           "proxy.test:1080:127.0.0.1"};
    }
    std::string origin_hosts;
    std::string proxy_hosts;
    DialOptions options = quiet_options();
};

TEST_CASE("TLS verifies the name of an https target, whatever its address") {
    Secured secured;
    ProxyScene scene;
    scene.serve(443, ProxyScript{{Line{kToOrigin, masked("early", kInner)}}});
    CHECK(scene.dial("https://origin.test", secured.options) == success(0));
    CHECK(scene.echoes("early"));
    CHECK(secured.origin_hosts == "origin.test ");
    CHECK(scene.is_clean());
    secured.options.connect_to = {"origin.test:443:elsewhere.test:443"};
    secured.options.resolve.push_back("elsewhere.test:443:127.0.0.1");
    CHECK(scene.dial("https://origin.test", secured.options) == success(0));
    CHECK(secured.origin_hosts == "origin.test origin.test ");
    CHECK(secured.proxy_hosts.empty());
}

TEST_CASE("TLS verifies the name of an https proxy, and TLS runs inside TLS (57)") {
    Secured secured;
    ProxyScene scene;
    secured.options.proxy = "https://proxy.test";
    const auto inner = [](const std::string& text) { return masked(masked(text, kInner), kOuter); };
    // The target's first bytes arrive together with the proxy's answer.
    scene.serve(
        443, ProxyScript{{Line{kToProxy, ""},
                          Line{masked(kConnect, kOuter), masked(kGranted, kOuter) + inner("early")},
                          Line{masked(kToOrigin, kOuter), ""}}});
    CHECK(scene.dial("https://origin.test", secured.options) == success(0));
    CHECK(scene.echoes("early"));
    CHECK((secured.proxy_hosts == "proxy.test " && secured.origin_hosts == "origin.test "));
    CHECK(scene.report.proxy_status == 200);
    CHECK(scene.is_clean());
}

TEST_CASE("TLS with the target begins after SOCKS and the PROXY header") {
    Secured secured;
    ProxyScene scene;
    secured.options.proxy = "http://proxy.test";
    secured.options.proxy_header = ProxyHeader::v1;
    scene.serve(1080, ProxyScript{{Line{kConnect, kGranted}}, false});
    CHECK(scene.dial("https://origin.test", secured.options) == success(0));
    scene.kernel.advance(0ns);
    const std::string& got = scene.peers[0]->received();
    CHECK(got.starts_with(kConnect + "PROXY TCP4 "));
    CHECK(got.ends_with("\r\n" + kToOrigin));
}

TEST_CASE("a dialer without TLS refuses an https target and an https proxy") {
    if (kTls) return report_skip("the build option tls is on");
    ProxyScene scene;
    scene.serve(443, ProxyScript{});
    DialOptions options = quiet_options();
    options.resolve = {"*:443:127.0.0.1"};
    CHECK(scene.dial("https://origin.test", options) == failure(Errc::not_supported));
    CHECK(scene.report.phase == DialPhase::tls);
    options.proxy = "https://proxy.test";
    CHECK(scene.dial("http://origin.test", options) == failure(Errc::not_supported));
    CHECK(scene.is_clean());
}

TEST_CASE("a dial with TLS in TLS cancelled at every step leaks nothing") {
    std::uint64_t last = 1;
    std::uint64_t canceled = 0;
    for (std::uint64_t step = 0; step <= last; ++step) {
        Secured secured;
        bool over = false;
        ProxyScene scene(step, {.short_write = 300, .short_read = 300, .late_cancel = 400});
        secured.options.proxy = "https://proxy.test";
        scene.serve(443, ProxyScript{{Line{kToProxy, ""},
                                      Line{masked(kConnect, kOuter), masked(kGranted, kOuter)},
                                      Line{masked(kToOrigin, kOuter), ""}}});
        Dialer dialer("https://origin.test", secured.options);
        Operation connect(scene.engine);
        dialer.connect(connect.aio, scene.stream, scene.report);
        scene.kernel.at_step(step, [&] {
            if (!over) connect.aio.cancel();
        });
        static_cast<void>(connect.aio.wait());
        over = true;
        last = scene.kernel.steps();
        REQUIRE(connect.ended().calls == 1);
        REQUIRE((!connect.ended().error || connect.ended().error == Errc::canceled));
        canceled += static_cast<bool>(connect.ended().error);
        REQUIRE(static_cast<bool>(scene.stream) == !connect.ended().error);
        if (scene.stream) REQUIRE(scene.echoes());
        REQUIRE(scene.is_clean());
    }
    CHECK(last > 10);
    CHECK(canceled >= last / 4);
}

}  // namespace uaio::dialer_tls_test
