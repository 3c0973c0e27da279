// Input against the grammar that a client accepts, since it has one meaning only, and input that it
// refuses all the same. A strict parser refuses each.
#include <uaio/http.h>
#include <uaio/http_error.h>

#include "tests/support/client_lab.h"
#include "tests/support/http_reader.h"
#include "tests/support/messages.h"

#include <string>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::http_lenient_test {

using http::Strictness;

SeenMessage lenient(std::string_view bytes, std::string_view answer_to = "GET") {
    const std::string text(bytes.substr(0, 200));
    CAPTURE(text);
    std::string disagreement;
    const SeenMessage seen = read_every_way(
        bytes, {.response = true, .answer_to = answer_to, .strictness = Strictness::lenient},
        disagreement);
    CHECK(disagreement == "");
    CHECK(!read_message(bytes, {.response = true, .answer_to = answer_to}).accepted());
    return seen;
}

void check_refused(std::string_view bytes, HttpErrc fault) {
    const SeenMessage seen = lenient(bytes);
    CHECK(seen.progress == http::Progress::malformed);
    CHECK(name_of(seen.fault) == name_of(fault));
}

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view kEmpty = "Content-Length: 0\r\n\r\n";

std::string head_with(std::string_view fields) {
    return std::string(kOk).append(fields).append(kEmpty);
}

TEST_CASE("a lenient parser reads a status line without the space behind the status") {
    CHECK(lenient("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").head ==
          "200[]1100\nContent-Length=0\n");
    CHECK(lenient("HTTP/1.0 404\n\n").head == "404[]0000\n");
    check_refused("HTTP/1.1 200\rX\r\n\r\n", HttpErrc::bare_carriage_return);
    check_refused("HTTP/1.1 20\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1 2000\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1 200OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/2 200\r\n\r\n", HttpErrc::bad_version);
    check_refused("\r\nHTTP/1.1 200 OK\r\n\r\n", HttpErrc::bad_start_line);
}

TEST_CASE("a lenient parser reads lines that end with a line feed alone") {
    CHECK(lenient("HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nhi").content == "hi");
    CHECK(lenient("HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nhi").head ==
          "200[OK]1102\nA=b\nContent-Length=2\n");
    CHECK(lenient("HTTP/1.1 200 OK\r\nA: b \nB:\nContent-Length: 0\r\n\n").head ==
          "200[OK]1100\nA=b\nB=\nContent-Length=0\n");
    check_refused("HTTP/1.1 200 OK\nA: b\r\r\n\r\n", HttpErrc::bare_carriage_return);
    check_refused("HTTP/1.1 200 OK\nA: b\rc\n\n", HttpErrc::bare_carriage_return);
    check_refused("HTTP/1.1 200 OK\nA: b\n\rx", HttpErrc::bare_carriage_return);
    check_refused(std::string("HTTP/1.1 200 OK\nA: \0\n\n", 22), HttpErrc::bad_field_value);
    check_refused("HTTP/1.1 200 OK\nA\n\n", HttpErrc::bare_line_feed);
}

TEST_CASE("a lenient parser joins folded lines by a space (RFC 9112 5.2)") {
    CHECK(lenient(head_with("A: b\r\n c\r\n")).head == "200[OK]1100\nA=b c\nContent-Length=0\n");
    CHECK(lenient(head_with("A: b  \r\n \t c\r\n\td \r\nB: e\r\n")).head ==
          "200[OK]1100\nA=b c d\nB=e\nContent-Length=0\n");
    CHECK(lenient(head_with("A:\r\n b\r\n")).head == "200[OK]1100\nA=b\nContent-Length=0\n");
    CHECK(lenient(head_with("A: b\r\n \r\n")).head == "200[OK]1100\nA=b\nContent-Length=0\n");
    CHECK(lenient(head_with("A: b\n c\n")).head == "200[OK]1100\nA=b c\nContent-Length=0\n");
    CHECK(lenient(head_with("A: b\r\n c: d\r\n")).head ==
          "200[OK]1100\nA=b c: d\nContent-Length=0\n");
    // A field that determines the message's end must be on one line.
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n", HttpErrc::folded_field);
    check_refused("HTTP/1.1 200 OK\r\nContent-Length:\r\n 10\r\n\r\n",
                  HttpErrc::bad_content_length);
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n \r\n\r\n",
                  HttpErrc::folded_field);
    check_refused("HTTP/1.1 200 OK\r\nConnection: keep-alive,\r\n close\r\n\r\n",
                  HttpErrc::folded_field);
    // There is no field before it.
    check_refused("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", HttpErrc::folded_field);
    check_refused(head_with("A: b\r\n c\rd\r\n"), HttpErrc::bare_carriage_return);
    check_refused(head_with("A: b\r\n \x01\r\n"), HttpErrc::bad_field_value);
}

TEST_CASE("the limit of a line holds for a folded field as a whole") {
    const auto read = [](std::size_t size) {
        std::string disagreement;
        const std::string bytes = head_with("A: b\r\n " + std::string(size, 'c') + "\r\n");
        const SeenMessage seen = read_every_way(
            bytes, {.response = true, .limits = {.field = 30}, .strictness = Strictness::lenient},
            disagreement);
        CHECK(disagreement == "");
        return seen;
    };
    CHECK(read(21).accepted());
    CHECK(read(22).refused_with(HttpErrc::field_too_long));
    CHECK(read(100).refused_with(HttpErrc::field_too_long));
}

TEST_CASE("a lenient parser reads white space before a colon (RFC 9112 5.1)") {
    CHECK(lenient("HTTP/1.1 200 OK\r\nA : b\r\nContent-Length\t : 2\r\n\r\nhi").content == "hi");
    CHECK(lenient(head_with("A : b\r\n")).head == "200[OK]1100\nA=b\nContent-Length=0\n");
    check_refused(head_with("A b: c\r\n"), HttpErrc::bad_field_name);
    check_refused(head_with("A \r\n"), HttpErrc::bad_field_name);
    check_refused(head_with("A\r\n"), HttpErrc::bad_field_name);
    check_refused(head_with(": b\r\n"), HttpErrc::bad_field_name);
}

TEST_CASE("a lenient parser accepts equal Content-Length values only") {
    CHECK(lenient("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi").content ==
          "hi");
    CHECK(lenient("HTTP/1.1 200 OK\r\nContent-Length: 2, 2,2\r\n\r\nhi").content == "hi");
    CHECK(lenient("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02, 2\r\n\r\nhi")
              .content == "hi");
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
                  HttpErrc::repeated_content_length);
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nhi!",
                  HttpErrc::repeated_content_length);
    for (const char* const value : {"2,", ",2", "2,,2", "2, +2", "2 2", "0x2", "-2", "", "2;2"}) {
        check_refused("HTTP/1.1 200 OK\r\nContent-Length: " + std::string(value) + "\r\n\r\nhi",
                      HttpErrc::bad_content_length);
    }
    check_refused("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
                  HttpErrc::conflicting_framing);
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
                  HttpErrc::bad_transfer_encoding);
    check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                  HttpErrc::unsupported_transfer_coding);
}

TEST_CASE("a lenient parser keeps no connection whose Connection field it cannot read") {
    const SeenMessage seen = lenient(head_with("Connection: keep-alive; x\r\n"));
    CHECK(seen.accepted());
    CHECK(seen.head.starts_with("200[OK]100"));
}

TEST_CASE("a lenient decoder reads white space, any extension and line feeds around chunks") {
    const auto chunks = [](std::string_view bytes) {
        return lenient(std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n" +
                       std::string(bytes));
    };
    const auto content = [&](std::string_view bytes) {
        const SeenMessage seen = chunks(bytes);
        return seen.accepted() ? seen.content : "refused: " + std::string(name_of(seen.fault));
    };
    CHECK(content("2 \r\nhi\r\n0\t\r\n\r\n") == "hi");
    CHECK(content("2 ; \r\nhi\r\n0;=\"\r\n\r\n") == "hi");
    CHECK(content("2;\r\nhi\r\n0\r\n\r\n") == "hi");
    CHECK(content("2\nhi\n0\n\n") == "hi");
    CHECK(content("2 \nhi\r\n0;x\n\r\n") == "hi");
    CHECK(chunks("2\r\nhi\r\n0\r\nA : b\r\n c\r\n\r\n").trailer == "A=b c\n");
    const auto refused = [&](std::string_view bytes, HttpErrc fault) {
        check_refused(std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n" + std::string(bytes),
                      fault);
    };
    refused("2 2\r\nhi\r\n0\r\n\r\n", HttpErrc::bad_chunk_extension);
    refused("2 x\r\nhi\r\n0\r\n\r\n", HttpErrc::bad_chunk_extension);
    refused("2x\r\nhi\r\n0\r\n\r\n", HttpErrc::bad_chunk_size);
    refused(" 2\r\nhi\r\n0\r\n\r\n", HttpErrc::bad_chunk_size);
    refused("2\r\nhi!\r\n0\r\n\r\n", HttpErrc::bad_chunk_end);
    refused("2\r\nhi\r!0\r\n\r\n", HttpErrc::bad_chunk_end);
    refused("2\rx\r\nhi\r\n", HttpErrc::bare_carriage_return);
    refused("2;\rx\r\nhi\r\n", HttpErrc::bare_carriage_return);
    refused(std::string("2;\0\r\nhi\r\n", 9), HttpErrc::bad_chunk_extension);
    refused("10000000000000000\r\n", HttpErrc::bad_chunk_size);
    refused("2;" + std::string(300, 'x') + "\r\n", HttpErrc::chunk_extension_too_long);
}

// ---- the client

TEST_CASE_TEMPLATE("a client reads odd responses in any pieces, unless it is strict", Kernel,
                   OnLinux, OnPoll) {
    const struct {
        std::string response;
        std::string content;
        HttpErrc fault;
    } cases[] = {
        {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "hi", HttpErrc::bad_status},
        {"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "hi", HttpErrc::bare_line_feed},
        {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", "hi",
         HttpErrc::folded_field},
        {"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", "hi", HttpErrc::bad_field_name},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "hi",
         HttpErrc::repeated_content_length},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", "hi", HttpErrc::bad_content_length},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n", "hi",
         HttpErrc::bad_chunk_extension},
    };
    for (const auto& one : cases) {
        CAPTURE(one.response);
        for (const bool strict : {false, true}) {
            ClientLab lab(Kernel::kKind, {.strict = strict});
            Asked asked(lab.engine());
            lab.ask(asked);
            RawPeer peer = lab.accept();
            lab.expect(peer, ClientLab::kEnd);
            for (const char byte : one.response) {
                if (asked.end.done()) break;
                peer.send({&byte, 1});
                lab.engine().run_once(std::chrono::milliseconds(1));
            }
            REQUIRE(lab.run_until([&] { return asked.end.done(); }));
            if (strict) {
                CHECK(asked.end.ended() == failure(one.fault));
                continue;
            }
            CHECK(asked.end.ended() == success(one.content.size()));
            CHECK(asked.response.content() == one.content);
            const auto length = asked.response.headers().get("Content-Length");
            if (length) CHECK(*length == "2");
            if (const auto folded = asked.response.headers().get("X")) CHECK(*folded == "a b");
        }
    }
}

TEST_CASE_TEMPLATE("a client reads heads of up to a thousand fields, in any pieces", Kernel,
                   OnLinux, OnPoll) {
    for (const std::size_t count : {99, 100, 999, 1000}) {
        // Of tiny fields the first bytes hold more than the array on the stack.
        const std::pair<std::size_t, bool> kinds[] = {
            {1 << 20, false}, {1000, false}, {1000, true}};
        for (const auto& [piece, tiny] : kinds) {
            CAPTURE(count);
            CAPTURE(tiny);
            ClientLab lab(Kernel::kKind);
            Asked asked(lab.engine());
            lab.ask(asked);
            RawPeer peer = lab.accept();
            lab.expect(peer, ClientLab::kEnd);
            std::string response(kOk);
            for (std::size_t i = 0; i < count; ++i)
                response +=
                    (tiny ? "a" : "Set-Cookie: a=") + std::to_string(i) + (tiny ? ":\r\n" : "\r\n");
            response += kEmpty;
            for (std::size_t at = 0; at < response.size(); at += piece) {
                peer.send(std::string_view(response).substr(at, piece));
                lab.engine().run_once(std::chrono::milliseconds(1));
            }
            REQUIRE(lab.run_until([&] { return asked.end.done(); }));
            if (count < 1000) {
                CHECK(asked.end.ended() == success(0));
                CHECK(asked.response.headers().size() == count + 1);
            } else {
                CHECK(asked.end.ended() == failure(HttpErrc::too_many_fields));
            }
        }
    }
}

TEST_CASE_TEMPLATE("a connection is strict with responses by default, and always with requests",
                   Kernel, OnLinux, OnPoll) {
    for (const bool wanted : {false, true}) {
        ConnectionFixture fixture(Kernel::kKind, {.http = {.lenient = wanted}});
        http::Response response;
        Operation read(fixture.engine());
        fixture.connection().read_response(response, read.aio);
        fixture.peer().send("HTTP/1.1 200\nContent-Length: 0\n\n");
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == (wanted ? success(0) : failure(HttpErrc::bare_line_feed)));
        ConnectionFixture server(Kernel::kKind, {.http = {.lenient = wanted}});
        http::Request request;
        Operation ask(server.engine());
        server.connection().read_request(request, ask.aio);
        server.peer().send("GET / HTTP/1.1\r\nHost: a\n\r\n");
        REQUIRE(server.run_until_done(ask));
        CHECK(ask.ended() == failure(HttpErrc::bare_line_feed));
    }
}

}  // namespace uaio::http_lenient_test
