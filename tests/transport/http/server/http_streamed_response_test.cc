// Responses whose head is written by begin(): the operations complete in order, the head is sent
// before the connection ends, and a response without a byte becomes 500.
#include <uaio/argument_error.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/one_shot.h"
#include "tests/support/server_fixture.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_streamed_response_test {

using http::Exchange;

// Begins, writes and finishes at once, and records the order of completions.
class AllAtOnce {
public:
    AllAtOnce(Exchange& exchange, std::string_view content, std::string& order)
        : exchange_(exchange),
          order_(order),
          head_(exchange.engine(), [this](Aio& aio) { note('h', aio); }),
          piece_(exchange.engine(), [this](Aio& aio) { note('p', aio); }),
          end_(exchange.engine(), [this](Aio& aio) {
              note('e', aio);
              exchange_.end();
              delete this;
          }) {
        piece_.set_iov(content.data(), content.size());
        exchange.begin(head_);
        exchange.writer().write(piece_);
        exchange.writer().finish(end_);
    }

private:
    void note(char name, const Aio& aio) { order_ += aio.result() ? '!' : name; }

    Exchange& exchange_;
    std::string& order_;
    Aio head_;
    Aio piece_;
    Aio end_;
};

struct Last {
    const char* name;
    const char* request;  // after the method and the target
    http::ServerOptions options;
    bool drains = false;
};

const Last kLast[] = {
    {"close", " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {}},
    {"1.0", " HTTP/1.0\r\n\r\n", {}},
    {"limit", " HTTP/1.1\r\nHost: h\r\n\r\n", {.requests_per_connection = 1}},
    {"drain", " HTTP/1.1\r\nHost: h\r\n\r\n", {}, true},
};

TEST_CASE_TEMPLATE("the head of a streamed response is sent before the connection closes", Kernel,
                   OnLinux, OnPoll) {
    for (const Last& last : kLast) {
        for (const char* const method : {"GET", "HEAD"}) {
            for (const int status : {200, 204, 205, 304}) {
                for (const std::string_view content : {"", "0", "hello"}) {
                    const bool announced = content == "0";  // and no content
                    CAPTURE(last.name);
                    CAPTURE(method);
                    CAPTURE(status);
                    CAPTURE(content);
                    std::string order;
                    std::vector<int> answered;
                    std::error_code error;
                    http::ServerOptions options = last.options;
                    options.access_log = [&](const http::AccessRecord& record) {
                        answered.push_back(record.status);
                        error = record.error;
                    };
                    ServerFixture fixture(Kernel::kKind, options);
                    Operation drained(fixture.engine());
                    fixture.server().handle("GET", "/", [&](Exchange& exchange) {
                        REQUIRE(!exchange.response().set_status(status));
                        if (last.drains) fixture.server().drain(drained.aio);
                        if (!announced) return void(new AllAtOnce(exchange, content, order));
                        REQUIRE(!exchange.response().headers().set("Content-Length", "0"));
                        new AllAtOnce(exchange, "", order);
                    });
                    fixture.listen();
                    const std::string seen =
                        fixture.ask(std::string(method) + " /" + std::string(last.request));
                    CHECK(status_of(seen).starts_with("HTTP/1.1 " + std::to_string(status)));
                    CHECK(seen.find("\r\n\r\n") != std::string::npos);
                    const bool has_content = std::string(method) == "GET" && status == 200;
                    CHECK((content_of(seen).find("hello") != std::string::npos) ==
                          (has_content && content == "hello"));
                    if (!has_content || announced) CHECK(content_of(seen).empty());
                    CHECK(order == "hpe");
                    CHECK(answered == std::vector{status});
                    CHECK(!error);
                }
            }
        }
    }
}

// The Aio of a begin() without a wait.
class Begun {
public:
    explicit Begun(Exchange& exchange, Ended* ended = nullptr, void (*then)(Exchange&) = nullptr)
        : exchange_(exchange),
          ended_(ended),
          then_(then),
          aio(exchange.engine(), [this](Aio& done) {
              if (ended_) *ended_ = {ended_->calls + 1, done.result(), done.count()};
              if (then_) then_(exchange_);
              delete this;
          }) {
        exchange.begin(aio);
    }

private:
    Exchange& exchange_;
    Ended* ended_;
    void (*then_)(Exchange&);

public:
    Aio aio;
};

TEST_CASE_TEMPLATE("end() waits for the writes in progress", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Ended head;
    Ended piece;
    Ended finish;
    fixture.server().handle("GET", "/empty", [&](Exchange& exchange) {
        REQUIRE(!exchange.response().set_status(204));
        new Begun(exchange, &head);
        exchange.end();
    });
    fixture.server().handle("GET", "/", [&](Exchange& exchange) {
        new Begun(exchange, &head);
        Aio& one = one_shot(exchange.engine(), piece);
        one.set_iov("hello", 5);
        exchange.writer().write(one);
        exchange.writer().finish(one_shot(exchange.engine(), finish));
        exchange.end();
    });
    fixture.listen();
    for (int round = 1; round <= 3; ++round) {
        RawPeer peer = fixture.connect();
        peer.send("GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
        CHECK(status_of(fixture.receive(peer, "\r\n\r\n")) == "HTTP/1.1 204 No Content");
        CHECK(status_of(fixture.get("/empty")) == "HTTP/1.1 204 No Content");
        CHECK(head == Ended{unsigned(3 * round - 1), {}, head.count});
        CHECK(fixture.get("/").ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
        CHECK(head.calls == unsigned(3 * round));
        CHECK(piece == Ended{unsigned(round), {}, 5});
        CHECK(finish == Ended{unsigned(round), {}, 0});
    }
}

TEST_CASE_TEMPLATE("pipelined responses to HEAD and a streamed response each have their own fields",
                   Kernel, OnLinux, OnPoll) {
    std::string order;
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/long", [](Exchange& exchange) {
        REQUIRE(!exchange.response().headers().set("Content-Length", "5"));
        exchange.respond();
    });
    fixture.server().handle("GET", "/streamed",
                            [&](Exchange& exchange) { new AllAtOnce(exchange, "hello", order); });
    fixture.listen();
    const std::string head = "HEAD /long HTTP/1.1\r\nHost: h\r\n";
    const std::string seen = fixture.ask(head + "\r\n" + head + "\r\n" + head + "\r\n" +
                                         "GET /streamed HTTP/1.1\r\nHost: h\r\n\r\n" + head +
                                         "Connection: close\r\n\r\n");
    std::vector<std::string> heads;
    std::size_t at = 0;
    while ((at = seen.find("HTTP/1.1 200 OK\r\n", at)) != std::string::npos) {
        const std::size_t end = seen.find("\r\n\r\n", at);
        REQUIRE(end != std::string::npos);
        heads.push_back(seen.substr(at, end + 2 - at));
        at = end;
    }
    REQUIRE(heads.size() == 5);
    for (std::size_t i = 0; i < heads.size(); ++i) {
        CAPTURE(i);
        CHECK(heads[i].find("\r\nDate: ") != std::string::npos);
        CHECK(has_line(heads[i], "Content-Length: 5") == (i != 3));
        CHECK(has_line(heads[i], "Transfer-Encoding: chunked") == (i == 3));
        CHECK(has_line(heads[i], "Connection: close") == (i == 4));
    }
    CHECK(seen.find("\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK") != std::string::npos);
    CHECK(order == "hpe");
}

constexpr std::string_view kPage = "</body></html>\n";

TEST_CASE_TEMPLATE("a failure after a begin() that has sent nothing becomes 500 for every method",
                   Kernel, OnLinux, OnPoll) {
    using Handle = void (*)(Exchange&, Ended&);
    const Handle handlers[] = {
        [](Exchange& exchange, Ended& head) {
            new Begun(exchange, &head);
            exchange.abort(Errc::truncated);
        },
        [](Exchange& exchange, Ended& head) {
            auto* const begun =
                new Begun(exchange, &head, [](Exchange& over) { over.abort(Errc::truncated); });
            begun->aio.cancel();
        },
        [](Exchange& exchange, Ended& head) {
            new Begun(exchange, &head);
            throw std::system_error(make_error_code(Errc::truncated));
        },
    };
    for (const Handle handle : handlers) {
        for (const char* const method : {"GET", "HEAD"}) {
            CAPTURE(method);
            Ended head;
            int status = 0;
            std::error_code error;
            ServerFixture fixture(Kernel::kKind,
                                  {.access_log = [&](const http::AccessRecord& record) {
                                      status = record.status;
                                      error = record.error;
                                  }});
            fixture.server().handle("GET", "/", [&](Exchange& exchange) {
                REQUIRE(!exchange.response().headers().set("X-Of-The-Other", "y"));
                handle(exchange, head);
            });
            fixture.listen();
            const std::string seen = fixture.ask(
                std::string(method) + " / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            CHECK(status_of(seen) == "HTTP/1.1 500 Internal Server Error");
            CHECK(seen.find("X-Of-The-Other") == std::string::npos);
            CHECK(seen.ends_with(std::string(method) == "GET" ? kPage : "\r\n\r\n"));
            CHECK(head.calls == 1);
            CHECK(head.error);
            CHECK(head.count == 0);
            CHECK(status == 500);
            CHECK(error == Errc::truncated);
        }
    }
}

TEST_CASE_TEMPLATE("the connection stays open after a begin() that abort() replaces", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", [](Exchange& exchange) {
        new Begun(exchange);
        exchange.abort();
    });
    fixture.server().handle("GET", "/next", [](Exchange& exchange) { exchange.respond("next"); });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string seen = fixture.receive(peer, "\r\n\r\nnext");
    CHECK(status_of(seen) == "HTTP/1.1 500 Internal Server Error");
    CHECK(seen.find("HTTP/1.1 200 OK\r\n") != std::string::npos);
}

TEST_CASE_TEMPLATE("the access record of a request without a response has no status", Kernel,
                   OnLinux, OnPoll) {
    int status = -1;
    std::error_code error;
    ServerFixture fixture(Kernel::kKind, {.access_log = [&](const http::AccessRecord& record) {
                              CHECK(record.bytes == 0);
                              status = record.status;
                              error = record.error;
                          }});
    fixture.server().handle("GET", "/",
                            [](Exchange& exchange) { exchange.abort(Errc::truncated); });
    fixture.listen();
    CHECK(fixture.get("/").empty());
    CHECK(status == 0);
    CHECK(error == Errc::truncated);
    CHECK(fixture.server().requests() == 0);
}

TEST_CASE_TEMPLATE("the content of a head that was not sent is refused", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    http::Response response;
    REQUIRE(!response.headers().set("Transfer-Encoding", "chunked"));
    Operation head(fixture.engine());
    Operation piece(fixture.engine(), "hello");
    Operation end(fixture.engine());
    fixture.connection().write_response(response, head.aio);
    fixture.connection().write_content().write(piece.aio);
    fixture.connection().write_content().finish(end.aio);
    head.aio.cancel();
    REQUIRE(fixture.run_until_done(end));
    CHECK(head.ended() == failure(Errc::canceled));
    CHECK(piece.ended() == failure(ArgumentErrc::wrong_message_state));
    CHECK(end.ended() == failure(ArgumentErrc::wrong_message_state));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4).size() == 4);
}

}  // namespace uaio::http_streamed_response_test
