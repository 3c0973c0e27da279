// Each final status, answered in each way that an http::Exchange has, is a valid response.
#include <uaio/http.h>

#include "tests/support/server_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_status_test {

using http::Exchange;

// Calls begin(), then finish() and end(), and deletes itself.
class Streamed {
public:
    explicit Streamed(Exchange& exchange)
        : exchange_(exchange), aio_(exchange.engine(), [this](Aio&) { on_step(); }) {
        exchange.begin(aio_);
    }

private:
    void on_step() {
        CHECK(!aio_.result());
        if (!std::exchange(begun_, true)) return exchange_.writer().finish(aio_);
        exchange_.end();
        delete this;
    }

    Exchange& exchange_;
    bool begun_ = false;
    Aio aio_;
};

using Answer = void (*)(Exchange&, int status);

void with_page(Exchange& exchange, int status) { exchange.respond(status); }
void with_own_page(Exchange& exchange, int status) {
    REQUIRE(!exchange.response().set_error_page(status));
    exchange.respond();
}
void with_text(Exchange& exchange, int status) {
    REQUIRE(!exchange.response().set_status(status));
    exchange.respond("text");
}
void without_content(Exchange& exchange, int status) {
    REQUIRE(!exchange.response().set_status(status));
    exchange.respond();
}
void in_pieces(Exchange& exchange, int status) {
    REQUIRE(!exchange.response().set_status(status));
    new Streamed(exchange);
}

bool allows_content(int status) { return status != 204 && status != 205 && status != 304; }

// A server that answers "METHOD /STATUS".
class Statuses {
public:
    explicit Statuses(Answer answer)
        : fixture_({.linger_timeout = std::chrono::seconds(1),
                    .access_log = [this](const http::AccessRecord& r) { logged_ = r.status; }}) {
        const auto handle = [answer](Exchange& exchange) {
            answer(exchange, std::stoi(std::string(exchange.path_suffix().substr(1))));
        };
        fixture_.server().handle("", "/", handle).prefix();
        fixture_.listen();
    }

    // The response; `method` as in the request.
    std::string ask(const std::string& method, int status) {
        logged_ = -1;
        SimPeer& peer = fixture_.connect(method + " /" + std::to_string(status) +
                                         " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        REQUIRE(fixture_.run_until([&] { return peer.saw_fin() || peer.saw_reset(); }));
        peer.close();
        return peer.received();
    }
    int logged() const { return logged_; }

private:
    int logged_ = -1;
    SimServerFixture fixture_;
};

std::string field_of(const std::string& response, std::string_view name) {
    const std::size_t at = response.find("\r\n" + std::string(name) + ": ");
    if (at == response.npos) return "none";
    const std::size_t begin = at + name.size() + 4;
    return response.substr(begin, response.find("\r\n", begin) - begin);
}

// The response that a client must get for `status`.
void check_response(const std::string& response, const std::string& method, int status) {
    REQUIRE(response.starts_with("HTTP/1.1 " + std::to_string(status) + " "));
    REQUIRE(response.find("\r\n\r\n") != response.npos);
    const std::string content = content_of(response);
    const std::string length = field_of(response, "Content-Length");
    const std::string codings = field_of(response, "Transfer-Encoding");
    if (!allows_content(status)) {
        CHECK(content == "");
        CHECK(codings == "none");
        CHECK(length == (status == 205 ? "0" : "none"));
    } else if (method == "HEAD") {
        CHECK(content == "");
        CHECK((length == "none" || codings == "none"));
    } else if (codings == "chunked") {
        CHECK(length == "none");
        CHECK(content == "0\r\n\r\n");
    } else {
        CHECK(length == std::to_string(content.size()));
    }
}

TEST_CASE("each final status is a valid response to GET and to HEAD, however it is sent") {
    struct Way {
        Answer answer;
        bool has_text;
    };
    for (const Way& way : {Way{with_page, false}, Way{with_own_page, false}, Way{with_text, true},
                           Way{without_content, false}, Way{in_pieces, false}}) {
        Statuses server(way.answer);
        for (const std::string method : {"GET", "HEAD"}) {
            for (int status = 200; status <= 999; ++status) {
                CAPTURE(method);
                CAPTURE(status);
                // Text that the status forbids is replaced by the page of 500.
                const int wanted = way.has_text && !allows_content(status) ? 500 : status;
                check_response(server.ask(method, status), method, wanted);
                CHECK(server.logged() == wanted);
            }
        }
    }
}

TEST_CASE("a page replaces the fields that frame another content") {
    const auto with_length = [](Exchange& exchange, int status) {
        REQUIRE(!exchange.response().headers().set("Content-Length", "5"));
        exchange.respond(status);
    };
    const auto with_chunks = [](Exchange& exchange, int status) {
        REQUIRE(!exchange.response().headers().set("Transfer-Encoding", "chunked"));
        exchange.respond(status);
    };
    for (const Answer answer : {Answer(with_length), Answer(with_chunks)}) {
        Statuses server(answer);
        for (const int status : {200, 204, 205, 304, 404}) {
            CAPTURE(status);
            check_response(server.ask("GET", status), "GET", status);
            CHECK(server.logged() == status);
        }
    }
}

// A 2xx to CONNECT has no content (RFC 9110 9.3.6).
TEST_CASE("a page that the method contradicts becomes 500") {
    SimServerFixture fixture({.linger_timeout = std::chrono::seconds(1)});
    fixture.server().handle("CONNECT", "/", [](Exchange& exchange) { exchange.respond(200); });
    fixture.listen();
    SimPeer& peer = fixture.connect("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return peer.received().ends_with("</html>\n"); }));
    check_response(peer.received(), "CONNECT", 500);
}

}  // namespace uaio::http_status_test
