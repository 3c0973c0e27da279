// Correct uses of an http::Exchange by a handler, the result of incorrect ones, and that neither
// disturbs the responses of other requests.
#include <uaio/argument_error.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/server_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <csignal>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_exchange_test {

using namespace std::chrono_literals;
using http::Exchange;

constexpr std::string_view kTwo =
    "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

// Calls begin(), records the result of its Aio, and then calls `then`.
class Head {
public:
    static void begin(Exchange& exchange, std::error_code& result,
                      std::function<void(Exchange&)> then) {
        auto* const head = new Head(exchange, result, std::move(then));
        exchange.begin(head->aio_);
    }

private:
    Head(Exchange& exchange, std::error_code& result, std::function<void(Exchange&)> then)
        : exchange_(exchange),
          result_(result),
          then_(std::move(then)),
          aio_(exchange.engine(), [this](Aio& done) {
              result_ = done.result();
              then_(exchange_);
              delete this;
          }) {}

    Exchange& exchange_;
    std::error_code& result_;
    std::function<void(Exchange&)> then_;
    Aio aio_;
};

// The bytes that the client receives for kTwo, and the log.
struct Seen {
    std::string received;
    std::string log;
    std::uint64_t misuse = 0;
};

Seen ask_two(const http::Handler& handler) {
    Seen seen;
    EngineOptions options;
    options.log = [&seen](LogLevel, std::string_view text) { seen.log.append(text).append("\n"); };
    SimServerFixture fixture({.linger_timeout = 1s}, options);
    fixture.server().handle("GET", "/", handler);
    fixture.server().handle("GET", "/next", [](Exchange& exchange) { exchange.respond("next"); });
    fixture.listen();
    SimPeer& peer = fixture.connect(kTwo);
    fixture.run_until([&] { return peer.saw_fin() || peer.saw_reset(); });
    seen.received = peer.received();
    seen.misuse = fixture.engine().statistics().misuse;
    return seen;
}

// One response that begins with `first`, and that of the other request.
bool is_answered(const Seen& seen, std::string_view first) {
    const std::size_t second = seen.received.find("HTTP/1.1", 1);
    return seen.received.starts_with(first) && second != std::string::npos &&
           seen.received.substr(second).starts_with("HTTP/1.1 200 OK") &&
           seen.received.ends_with("\r\n\r\nnext") &&
           seen.received.find("HTTP/1.1", second + 1) == std::string::npos;
}

TEST_CASE("a response with an interim or invalid status becomes 500, and is logged") {
    for (const int status : {0, -1, 99, 100, 101, 103, 199, 1000, 100000}) {
        CAPTURE(status);
        const Seen seen = ask_two([status](Exchange& exchange) { exchange.respond(status); });
        CHECK(is_answered(seen, "HTTP/1.1 500 Internal Server Error\r\n"));
        CHECK(seen.log.find("the status of the response is invalid: " + std::to_string(status)) !=
              std::string::npos);
    }
    for (const int status : {100, 103}) {
        const Seen seen = ask_two([status](Exchange& exchange) {
            REQUIRE(!exchange.response().set_status(status));
            exchange.respond();
        });
        CHECK(is_answered(seen, "HTTP/1.1 500 "));
        CHECK(seen.log.find("the status of the response is invalid") != std::string::npos);
        std::error_code result;
        const Seen begun = ask_two([&](Exchange& exchange) {
            REQUIRE(!exchange.response().set_status(status));
            Head::begin(exchange, result, [](Exchange& ended) { ended.abort(); });
        });
        CHECK(result == ArgumentErrc::invalid_status);
        CHECK(is_answered(begun, "HTTP/1.1 500 "));
    }
    CHECK(is_answered(ask_two([](Exchange& exchange) { exchange.respond(599); }), "HTTP/1.1 599 "));
}

TEST_CASE("a response without the content that it announces becomes 500, and is logged") {
    for (const char* field : {"Content-Length", "Transfer-Encoding"}) {
        const Seen seen = ask_two([field](Exchange& exchange) {
            REQUIRE(!exchange.response().headers().set(field, *field == 'C' ? "5" : "chunked"));
            exchange.respond();
        });
        CHECK(is_answered(seen, "HTTP/1.1 500 Internal Server Error\r\n"));
        CHECK(seen.log.find("announce content that is missing") != std::string::npos);
    }
}

TEST_CASE("a response that begin() cannot send becomes 500 after abort() or end()") {
    for (const bool fails : {false, true}) {
        std::error_code result;
        const Seen seen = ask_two([&](Exchange& exchange) {
            REQUIRE(!exchange.response().set_status(205));
            REQUIRE(!exchange.response().headers().set("Content-Length", "5"));
            Head::begin(exchange, result, [fails](Exchange& e) { fails ? e.abort() : e.end(); });
        });
        CHECK(result == ArgumentErrc::invalid_message);
        CHECK(is_answered(seen, "HTTP/1.1 500 "));
    }
}

struct Misuse {
    const char* what;  // a part of the message
    void (*handle)(Exchange&);
    const char* first;  // the beginning of the first response; null: the connection is closed
};

void begin_and(Exchange& exchange, void (*then)(Exchange&)) {
    static std::error_code result;
    Head::begin(exchange, result, then);
}

const Misuse kMisuses[] = {
    {"respond() on an exchange that has ended",
     [](Exchange& exchange) {
         exchange.respond("once");
         exchange.respond("twice");
     },
     "HTTP/1.1 200 OK"},
    {"end() without begin()", [](Exchange& exchange) { exchange.end(); }, "HTTP/1.1 500 "},
    {"respond() after begin()",
     [](Exchange& exchange) { begin_and(exchange, [](Exchange& begun) { begun.respond("x"); }); },
     nullptr},
    {"respond() after begin()",
     [](Exchange& exchange) {
         begin_and(exchange, [](Exchange&) {});
         exchange.respond("x");
     },
     "HTTP/1.1 500 "},
    {"begin() on an exchange that has begun",
     [](Exchange& exchange) {
         begin_and(exchange, [](Exchange& begun) {
             auto* const second = new Operation(begun.engine());  // the child's exit frees it
             begun.begin(second->aio);
             begun.abort();
         });
     },
     nullptr},
    {"abort() on an exchange that has ended",
     [](Exchange& exchange) {
         exchange.respond("once");
         exchange.abort();
     },
     "HTTP/1.1 200 OK"},
    {"end() on an exchange that has ended",
     [](Exchange& exchange) {
         exchange.respond("once");
         exchange.end();
     },
     "HTTP/1.1 200 OK"},
    {"hijack() on an exchange that has ended",
     [](Exchange& exchange) {
         exchange.respond("once");
         http::Connection none = exchange.hijack();
         none.close();
     },
     "HTTP/1.1 200 OK"},
    {"writer() without begin()",
     [](Exchange& exchange) {
         auto* const write = new Operation(exchange.engine());
         exchange.writer().finish(write->aio);
         exchange.respond("once");
     },
     "HTTP/1.1 200 OK"},
    {"another thread than its engine's",
     [](Exchange& exchange) {
         std::thread([&exchange] { exchange.respond("elsewhere"); }).join();
         exchange.respond("here");
     },
     "HTTP/1.1 200 OK"},
};

TEST_CASE("misuse of an Exchange is counted and affects no response, or stops a debug build") {
    for (const Misuse& misuse : kMisuses) {
        CAPTURE(misuse.what);
        const ChildEnd end = run_in_child([&]() -> std::string {
            const Seen seen = ask_two(misuse.handle);
            if (seen.misuse != 1) return "misuse was not counted once";
            if (seen.log.find(misuse.what) == std::string::npos) return "logged: " + seen.log;
            const bool closed = !misuse.first && seen.received.find("next") == std::string::npos;
            const bool good = misuse.first ? is_answered(seen, misuse.first) : closed;
            return good ? "" : "received: " + seen.received;
        });
        INFO(end.output);
        if (kMisuseStops) {
            CHECK(end.signal == SIGABRT);
            CHECK(end.output.find(misuse.what) != std::string::npos);
        } else {
            CHECK(end.succeeded());
        }
    }
}

// Handlers that send no complete response, and the messages of the log and the access record.
struct Unsent {
    void (*handle)(Exchange&);
    std::error_code error;
    const char* reason;
};
const Unsent kUnsent[] = {
    {[](Exchange&) { throw std::runtime_error("the database is gone"); },
     make_error_code(Errc::canceled), "the handler threw an exception: the database is gone"},
    {[](Exchange&) {
         throw std::system_error(std::make_error_code(std::errc::host_unreachable), "backend");
     },
     std::make_error_code(std::errc::host_unreachable), "the handler threw an exception: backend"},
    {[](Exchange&) { throw std::bad_alloc(); }, make_error_code(Errc::not_enough_memory),
     "the handler threw an exception: "},
    {[](Exchange&) { throw 1; }, make_error_code(Errc::canceled),
     "the handler threw an exception: not a std::exception"},
    {[](Exchange& exchange) {
         static_cast<void>(exchange.response().set_status(204));
         exchange.respond("no content may be here");
     },
     make_error_code(ArgumentErrc::invalid_message), "the response is invalid"},
    {[](Exchange& exchange) { exchange.respond("abc", "text/html\r\nX: evil"); },
     make_error_code(ArgumentErrc::invalid_header_value), "the response is invalid: "},
    {[](Exchange& exchange) {
         static_cast<void>(exchange.response().headers().set("Transfer-Encoding", "chunked"));
         exchange.respond("abc");
     },
     make_error_code(ArgumentErrc::conflicting_header), "the response is invalid: "},
    {[](Exchange& exchange) { exchange.respond(42); },
     make_error_code(ArgumentErrc::invalid_status), "the status of the response is invalid: 42"},
    {[](Exchange& exchange) {
         static_cast<void>(exchange.response().set_status(100));
         begin_and(exchange, [](Exchange& begun) { begun.abort(); });
     },
     make_error_code(ArgumentErrc::invalid_status), "the status of the response is invalid: 100"},
    {[](Exchange& exchange) {
         static_cast<void>(exchange.response().set_status(204));
         static_cast<void>(exchange.response().copy_content("no content may be here"));
         begin_and(exchange, [](Exchange& begun) { begun.abort(); });
     },
     make_error_code(ArgumentErrc::invalid_message), "the response is invalid"},
    {[](Exchange& exchange) {
         static_cast<void>(exchange.response().set_status(204));
         static_cast<void>(exchange.response().copy_content("no content may be here"));
         begin_and(exchange, [](Exchange& begun) { begun.end(); });
     },
     make_error_code(ArgumentErrc::invalid_message), "the response is invalid"},
};

TEST_CASE("an exception of a handler and an invalid response are logged and in the access record") {
    for (const auto& wanted : kUnsent) {
        CAPTURE(wanted.reason);
        std::string log;
        std::string reason;
        std::error_code error;
        int status = 0;
        EngineOptions options;
        options.log = [&](LogLevel level, std::string_view text) {
            CHECK(level == LogLevel::error);
            log.append(text);
        };
        SimServerFixture fixture({.access_log =
                                      [&](const http::AccessRecord& record) {
                                          error = record.error;
                                          reason = record.reason;
                                          status = record.status;
                                      }},
                                 options);
        fixture.server().handle("GET", "/", [&](Exchange& exchange) {
            static_cast<void>(exchange.response().headers().set("X-Of-The-Other", "y"));
            wanted.handle(exchange);
        });
        fixture.listen();
        SimPeer& peer = fixture.connect("GET /?a=b HTTP/1.1\r\nHost: h\r\n\r\n");
        REQUIRE(fixture.run_until(
            [&] { return status != 0 && peer.received().ends_with("</html>\n"); }));
        CHECK(status_of(peer.received()) == "HTTP/1.1 500 Internal Server Error");
        CHECK(status == 500);
        CHECK(error == wanted.error);
        CHECK(reason.starts_with(wanted.reason));
        CHECK(peer.received().find("X-Of-The-Other") == std::string::npos);
        CHECK(log == "http::Server: GET /?a=b: " + reason);
    }
}

TEST_CASE_TEMPLATE("begin() sends 204, 205 and 304 without content and keeps the connection open",
                   Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    struct Empty {
        Exchange& exchange;
        bool begun = false;
        Aio aio;
        explicit Empty(Exchange& of)
            : exchange(of), aio(of.engine(), [this](Aio& done) {
                  CHECK(!done.result());
                  if (!std::exchange(begun, true)) return exchange.writer().finish(aio);
                  exchange.end();
                  delete this;
              }) {
            exchange.begin(aio);
        }
    };
    fixture.server()
        .handle("GET", "/",
                [](Exchange& exchange) {
                    const std::string status(exchange.path_suffix().substr(1));
                    REQUIRE(!exchange.response().set_status(std::stoi(status)));
                    new Empty(exchange);
                })
        .prefix();
    fixture.listen();
    RawPeer peer = fixture.connect();
    std::uint64_t answered = 1;
    for (const char* const status : {"204", "205", "304"}) {
        const std::size_t before = peer.received().size();
        peer.send("GET /" + std::string(status) + " HTTP/1.1\r\nHost: h\r\n\r\n");
        REQUIRE(fixture.run_until([&] {
            peer.read_some();
            return peer.received().size() > before && peer.received().ends_with("\r\n\r\n") &&
                   fixture.server().requests() == answered;
        }));
        ++answered;
        const std::string seen = peer.received().substr(before);
        CHECK(status_of(seen).starts_with("HTTP/1.1 " + std::string(status)));
        CHECK(seen.find("Transfer-Encoding") == std::string::npos);
        CHECK(has_line(seen, "Content-Length: 0") == (std::string(status) == "205"));
    }
    CHECK(fixture.server().connections() == 1);
}

TEST_CASE_TEMPLATE("a CONNECT that begin() accepts becomes a tunnel of its handler", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    std::optional<http::Connection> taken;
    std::error_code result = Errc::canceled;
    fixture.server().handle("CONNECT", "/", [&](Exchange& exchange) {
        CHECK(exchange.request().target() == "far:443");
        Head::begin(exchange, result, [&](Exchange& begun) { taken.emplace(begun.hijack()); });
    });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("CONNECT far:443 HTTP/1.1\r\nHost: far:443\r\n\r\nhello");
    const std::string seen = fixture.receive(peer, "\r\n\r\n");
    CHECK(status_of(seen) == "HTTP/1.1 200 OK");
    CHECK(seen.find("Transfer-Encoding") == std::string::npos);
    CHECK(seen.find("Content-Length") == std::string::npos);
    REQUIRE(fixture.run_until([&] { return taken.has_value(); }));
    CHECK(result == std::error_code());
    std::string in(5, '\0');
    Operation read(fixture.engine(), in);
    taken->read_all(read.aio);
    REQUIRE(fixture.run_until([&] { return read.done(); }));
    CHECK(in == "hello");
    Operation write(fixture.engine(), "tunnel");
    taken->write_all(write.aio);
    CHECK(fixture.receive(peer, "tunnel").ends_with("\r\n\r\ntunnel"));
}

TEST_CASE_TEMPLATE("an encoded slash reaches the handler, and does not separate segments", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    const auto respond_with = [](std::string name) {
        return [name](Exchange& exchange) {
            exchange.respond(name + " " + std::string(exchange.path()) + " " +
                             std::string(exchange.path_suffix()) + " " +
                             std::string(exchange.raw_path()));
        };
    };
    fixture.server().handle("GET", "/", respond_with("root")).prefix();
    fixture.server().handle("GET", "/admin", respond_with("admin")).prefix();
    fixture.listen();
    CHECK(content_of(fixture.get("/@scope%2fname?q")) ==
          "root /@scope%2Fname /@scope%2Fname /@scope%2fname");
    CHECK(content_of(fixture.get("/admin/a%2Fb")) == "admin /admin/a%2Fb /a%2Fb /admin/a%2Fb");
    CHECK(content_of(fixture.get("/admin%2Fa")) == "root /admin%2Fa /admin%2Fa /admin%2Fa");
    CHECK(content_of(fixture.get("/x/..%2Fadmin")) ==
          "root /x/..%2Fadmin /x/..%2Fadmin /x/..%2Fadmin");
}

TEST_CASE_TEMPLATE("an empty Host matches no host of a route", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("any"); });
    fixture.server()
        .handle("GET", "/", [](Exchange& exchange) { exchange.respond("h"); })
        .host("h");
    fixture.listen();
    CHECK(content_of(fixture.ask("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n")) == "any");
    CHECK(content_of(fixture.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) == "h");
}

}  // namespace uaio::http_exchange_test
