// Heads of responses, whole and cut at every place. The names in brackets refer to
// docs/http_contract.md.
#include <uaio/error.h>
#include <uaio/http_error.h>

#include "tests/support/http_reader.h"

#include <doctest/doctest.h>

namespace uaio::http_response_test {

using http::ContentFraming;

SeenMessage response(std::string_view bytes, std::string_view answer_to = "GET") {
    const std::string text(bytes.substr(0, 200));
    CAPTURE(text);
    std::string disagreement;
    const SeenMessage seen =
        read_every_way(bytes, {.response = true, .answer_to = answer_to}, disagreement);
    CHECK(disagreement == "");
    return seen;
}

void check_refused(std::string_view bytes, HttpErrc fault) {
    const SeenMessage seen = response(bytes);
    CHECK(seen.progress == http::Progress::malformed);
    CHECK(name_of(seen.fault) == name_of(fault));
}

TEST_CASE("a status line is version, three digits and a reason") {
    CHECK(response("HTTP/1.1 200 OK\r\nA: b\r\n\r\n").head == "200[OK]1000\nA=b\n");
    CHECK(response("HTTP/1.1 200 \r\n\r\n").head == "200[]1000\n");
    CHECK(response("HTTP/1.1 999 \xfc ber\t\r\nContent-Length: 0\r\n\r\n")
              .head.starts_with("999[\xfc ber\t]110"));
    CHECK(response("HTTP/1.0 200 OK\r\n\r\n").head.starts_with("200[OK]000"));
    check_refused("HTTP/1.1 200\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1 20 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1 2000 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.10 200 OK\r\n\r\n", HttpErrc::bad_status);
    CHECK(uaio::strerror(HttpErrc::bad_status).find("HTTP/DIGIT.DIGIT") != std::string::npos);
    check_refused("HTTP/1.1 099 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1 2x0 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1  200 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1 -20 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1.1\t200 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/2.0 200 OK\r\n\r\n", HttpErrc::unsupported_version);
    check_refused("HTTP/1.10 200 OK\r\n\r\n", HttpErrc::bad_status);
    check_refused("HTTP/1 200 OK\r\n\r\n", HttpErrc::bad_version);
    check_refused("http/1.1 200 OK\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("ICY 200 OK\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("garbage\r\n", HttpErrc::bad_start_line);
    check_refused("\r\nHTTP/1.1 200 OK\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("HTTP/1.1 200 O\x01K\r\n\r\n", HttpErrc::bad_reason);
    check_refused("HTTP/1.1 200 OK\n\r\n", HttpErrc::bare_line_feed);
    check_refused("HTTP/1.1 \n200 OK\r\n\r\n", HttpErrc::bare_line_feed);
    check_refused("HTTP/1.1 200 OK\rX\r\n\r\n", HttpErrc::bare_carriage_return);
}

TEST_CASE("responses that have no content end with their head (S1)") {
    for (const char* const status : {"100", "101", "103", "199", "204", "304"}) {
        const std::string head =
            "HTTP/1.1 " + std::string(status) + " x\r\nContent-Length: 5\r\n\r\n";
        const SeenMessage seen = response(head + "HTTP/1.1 200 OK\r\n");
        CHECK(seen.accepted());
        CHECK(seen.consumed == head.size());
        CHECK(seen.content.empty());
    }
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    CHECK(response(head + "next", "HEAD").consumed == head.size());
    CHECK(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnext", "HEAD").framing ==
          ContentFraming::none);
    CHECK(response("HTTP/1.1 200 OK\r\n\r\nnext", "HEAD").framing == ContentFraming::none);
    CHECK(response("HTTP/1.1 200 OK\r\n\r\nbytes", "CONNECT").framing == ContentFraming::tunnel);
    CHECK(response("HTTP/1.1 204 OK\r\n\r\nbytes", "CONNECT").framing == ContentFraming::tunnel);
    CHECK(response("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", "CONNECT").content == "no");
    CHECK(response("HTTP/1.1 101 x\r\n\r\nbytes").framing == ContentFraming::tunnel);
}

TEST_CASE("a response with ambiguous framing is refused (S2)") {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    check_refused(head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  HttpErrc::conflicting_framing);
    check_refused(head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                  HttpErrc::repeated_content_length);
    check_refused(head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
                  HttpErrc::repeated_content_length);
    check_refused(head + "Content-Length: 5, 5\r\n\r\nhello", HttpErrc::bad_content_length);
    check_refused(head + "Transfer-Encoding: gzip\r\n\r\n", HttpErrc::unsupported_transfer_coding);
    check_refused(head + "Transfer-Encoding: chunked, gzip\r\n\r\n",
                  HttpErrc::bad_transfer_encoding);
    check_refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  HttpErrc::bad_transfer_encoding);
}

TEST_CASE("a response ends by its length, its chunks or the connection (S4)") {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    const SeenMessage counted = response(head + "Content-Length: 5\r\n\r\nhellonext");
    CHECK(counted.content == "hello");
    CHECK(counted.head.starts_with("200[OK]110"));
    const SeenMessage chunked =
        response(head + "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nnext");
    CHECK(chunked.content == "hello");
    const SeenMessage rest = response(head + "\r\nhello");
    CHECK(rest.framing == ContentFraming::until_close);
    CHECK(rest.content == "hello");
    CHECK(rest.head.starts_with("200[OK]100"));  // and the connection carries nothing after it
    CHECK(response(head + "Content-Length: 0\r\n\r\n").framing == ContentFraming::none);
    CHECK(response(head + "Connection: close\r\nContent-Length: 0\r\n\r\n")
              .head.starts_with("200[OK]100"));
    CHECK(response("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
              .head.starts_with("200[OK]010"));
}

TEST_CASE("the fields of a response are as strict as those of a request") {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    check_refused(head + "A : b\r\n\r\n", HttpErrc::bad_field_name);
    check_refused(head + "A: b\r\n c\r\n\r\n", HttpErrc::folded_field);
    check_refused(head + "A: b\n\r\n", HttpErrc::bare_line_feed);
    check_refused(head + std::string("A: b\0\r\n\r\n", 10), HttpErrc::bad_field_value);
    check_refused(head + " \r\n", HttpErrc::folded_field);
}

TEST_CASE("a truncated message is an error (S5)") {
    CHECK(!read_message("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", {.response = true})
               .accepted());
    CHECK(!read_message("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                        {.response = true})
               .accepted());
}

}  // namespace uaio::http_response_test
