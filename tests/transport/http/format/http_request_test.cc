// Every request of the acceptance table, valid and invalid, whole and cut at every place. The names
// in brackets refer to docs/http_contract.md.
#include <uaio/http_error.h>

#include "tests/support/http_reader.h"

#include <iterator>

#include <doctest/doctest.h>

namespace uaio::http_request_test {

using http::ContentFraming;
using http::Limits;

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";

SeenMessage request(std::string_view bytes, const Limits& limits = {}) {
    std::string disagreement;
    const SeenMessage seen = read_every_way(bytes, {.limits = limits}, disagreement);
    CHECK(disagreement == "");
    return seen;
}

void check_refused(std::string_view bytes, HttpErrc fault) {
    const std::string text(bytes.substr(0, 200));
    CAPTURE(text);
    const SeenMessage seen = request(bytes);
    CHECK(seen.progress == http::Progress::malformed);
    CHECK(name_of(seen.fault) == name_of(fault));
}

SeenMessage check_accepted(std::string_view bytes) {
    const std::string text(bytes.substr(0, 200));
    CAPTURE(text);
    const SeenMessage seen = request(bytes);
    CHECK(name_of(seen.fault) == "fine");
    CHECK(seen.accepted());
    return seen;
}

TEST_CASE("well-formed requests are accepted (V1 to V6)") {
    CHECK(check_accepted(kGet + "\r\n").head == "[GET][/][a][/][]0110000\nHost=a\n");
    CHECK(check_accepted(kPost + "Content-Length: 5\r\n\r\nhello").content == "hello");
    CHECK(check_accepted(kGet + "X: \xff\x80ok\r\n\r\n").head.ends_with("X=\xff\x80ok\n"));
    CHECK(check_accepted("\r\n" + kGet + "\r\n").consumed == kGet.size() + 4);
    CHECK(check_accepted(kGet + "X:\t a\t b \t\r\nY:\r\nZ: \t \r\n\r\n")
              .head.ends_with("X=a\t b\nY=\nZ=\n"));
    CHECK(check_accepted("GET /a?b=c HTTP/1.1\r\nhOST:a:80\r\n\r\nrest").consumed == 34);
}

TEST_CASE("a second empty line before a request is refused") {
    check_refused("\r\n\r\n" + kGet + "\r\n", HttpErrc::bad_start_line);
    check_refused("\r" + kGet + "\r\n", HttpErrc::bare_carriage_return);
    check_refused("\n" + kGet + "\r\n", HttpErrc::bare_line_feed);
}

TEST_CASE("Content-Length is one plain number (F2 to F10)") {
    check_refused(kPost + "Content-Length: 1\r\nContent-Length: 0\r\n\r\nX",
                  HttpErrc::repeated_content_length);
    check_refused(kPost + "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello",
                  HttpErrc::repeated_content_length);
    for (const char* const value :
         {"5, 5", "5,", "+5", "0x5", "", "5 5", "18446744073709551621", "9223372036854775808", "-1",
          "5;", "\"5\"", "5\t5", "1e3", "5.0", "\xef\xbc\x95"}) {
        check_refused(kPost + "Content-Length: " + value + "\r\n\r\nhello",
                      HttpErrc::bad_content_length);
    }
    CHECK(check_accepted(kPost + "Content-Length:5 \r\n\r\nhello").content == "hello");
    CHECK(check_accepted(kPost + "Content-Length: 0005\r\n\r\nhello").content == "hello");
    CHECK(check_accepted(kPost + "Content-Length: 0\r\n\r\nhello").framing == ContentFraming::none);
}

TEST_CASE("white space before a colon is refused (F11)") {
    check_refused(kPost + "Content-Length : 5\r\n\r\nhello", HttpErrc::bad_field_name);
    check_refused(kPost + "Transfer-Encoding\t: chunked\r\n\r\n", HttpErrc::bad_field_name);
}

TEST_CASE("a request with both lengths is refused (F1)") {
    check_refused(kPost + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
                  HttpErrc::conflicting_framing);
    check_refused(kPost + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
                  HttpErrc::conflicting_framing);
    check_refused(kPost + "Transfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
                  HttpErrc::conflicting_framing);
}

TEST_CASE("Transfer-Encoding is one chunked (F12 to F14)") {
    const auto with = [](const std::string& value) {
        return kPost + "Transfer-Encoding: " + value + "\r\n\r\n0\r\n\r\n";
    };
    for (const char* const value :
         {"chunked, identity", "chunked,", ",chunked", "", "chunked, chunked", "chunked;q=1",
          "chunked ;", "\"chunked\"", "chun ked", "chunked\xa0", "chunked\t,", "chunked/1", ";",
          "gzip;q=\"a, b", "chunked, gzip", "@"}) {
        CAPTURE(value);
        const SeenMessage seen = request(with(value));
        CHECK((seen.refused_with(HttpErrc::bad_transfer_encoding) ||
               seen.refused_with(HttpErrc::unsupported_transfer_coding)));
    }
    check_refused(with("chunked, identity"), HttpErrc::bad_transfer_encoding);
    for (const char* const value : {"xchunked", "gzip, chunked", "identity", "gzip;q=1, chunked",
                                    "chunkedchunked", "chunke"}) {
        check_refused(with(value), HttpErrc::unsupported_transfer_coding);
    }
    check_refused(with("chunked\r\nTransfer-Encoding: chunked"), HttpErrc::bad_transfer_encoding);
    check_refused(with("gzip\r\nTransfer-Encoding: chunked"),
                  HttpErrc::unsupported_transfer_coding);
    check_refused(with("chunked\r\nTransfer-Encoding: gzip"), HttpErrc::bad_transfer_encoding);
    check_refused(with("\x0b"
                       "chunked"),
                  HttpErrc::bad_field_value);
    CHECK(check_accepted(with("\tchunked ")).framing == ContentFraming::chunked);
    CHECK(check_accepted(with("Chunked")).framing == ContentFraming::chunked);
}

TEST_CASE("Transfer-Encoding in HTTP/1.0 is refused (F16)") {
    check_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  HttpErrc::bad_transfer_encoding);
}

TEST_CASE("the content of a GET is not parsed as a request (F18)") {
    const SeenMessage seen = check_accepted(kGet + "Content-Length: 5\r\n\r\nhello" + kGet);
    CHECK(seen.content == "hello");
    CHECK(seen.consumed == kGet.size() + std::string_view("Content-Length: 5\r\n\r\nhello").size());
}

TEST_CASE("CONNECT and TRACE with content are refused") {
    check_refused("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nhello",
                  HttpErrc::conflicting_framing);
    check_refused("TRACE / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  HttpErrc::conflicting_framing);
    CHECK(check_accepted("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\nanything").framing ==
          ContentFraming::tunnel);
}

TEST_CASE("folded header lines are refused (H1, H2)") {
    check_refused(kGet + "X: a\r\n b\r\n\r\n", HttpErrc::folded_field);
    check_refused(kGet + "X: a\r\n\tb\r\n\r\n", HttpErrc::folded_field);
    check_refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", HttpErrc::folded_field);
    check_refused(kGet + " \r\n\r\n", HttpErrc::folded_field);
}

TEST_CASE("a line ends with CRLF and nothing else (H3, H4, H16)") {
    check_refused("GET / HTTP/1.1\nHost: a\n\n", HttpErrc::bare_line_feed);
    check_refused("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", HttpErrc::bare_line_feed);
    check_refused(kGet + "\n", HttpErrc::bare_line_feed);
    check_refused(kGet + "X\n\r\n", HttpErrc::bare_line_feed);
    check_refused(kGet + "\rX: y\r\n\r\n", HttpErrc::bare_carriage_return);
    check_refused(kGet + "X: a\r\r\n\r\n", HttpErrc::bare_carriage_return);
    check_refused("GET / HTTP/1.1\rHost: a\r\n\r\n", HttpErrc::bare_carriage_return);
    check_refused("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", HttpErrc::bare_carriage_return);
    check_refused("GET\n/ HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bare_line_feed);
    check_refused("GET /\n HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bare_line_feed);
    check_refused("GET / HTTP/1.\n1\r\nHost: a\r\n\r\n", HttpErrc::bare_line_feed);
    check_refused(kPost + "X-Abc: \rxTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n",
                  HttpErrc::bare_carriage_return);
}

TEST_CASE("control characters in a value are refused (H6, H7, H15)") {
    for (int code = 0; code < 0x80; ++code) {
        if (code == '\t' || code == '\n' || code == '\r') continue;
        if (code >= ' ' && code != 0x7f) continue;
        check_refused(kGet + "X: a" + static_cast<char>(code) + "b\r\n\r\n",
                      HttpErrc::bad_field_value);
    }
}

TEST_CASE("a field name is a token (H9, H11, H12, H14)") {
    for (const char* const name : {"", "X(y)", "\xefoo", "X y", "X@", "X\x01", "X\"", "{X}", "X/Y",
                                   "X[0]", "X\x7f", "X,Y", "X;Y"}) {
        check_refused(kGet + name + ": b\r\n\r\n", HttpErrc::bad_field_name);
    }
    check_refused(kGet + "no colon\r\n\r\n", HttpErrc::bad_field_name);
    check_refused(kGet + "nocolon\r\n\r\n", HttpErrc::bad_field_name);
    check_refused(kGet + std::string("X\0Y: b\r\n\r\n", 10), HttpErrc::bad_field_name);
    check_accepted(kGet + "!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n");
}

TEST_CASE("an HTTP/1.1 request has exactly one valid Host (L1 to L3)") {
    check_refused("GET / HTTP/1.1\r\n\r\n", HttpErrc::bad_host);
    check_refused(kGet + "Host: a\r\n\r\n", HttpErrc::bad_host);
    for (const char* const host : {"a b", "a,b c", "a/b", "u@a", "a:x", "a\"", "[::1"}) {
        check_refused("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n",
                      HttpErrc::bad_host);
    }
    check_refused("GET / HTTP/1.1\r\nHost: [1:2]\r\n\r\n", HttpErrc::bad_host);
    check_refused("GET http://[1::2::3]/ HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
    check_refused("GET http://b/ HTTP/1.1\r\n\r\n", HttpErrc::bad_host);
    // The request of a client without an authority (RFC 9112 3.2).
    check_accepted("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    check_accepted("GET / HTTP/1.1\r\nHost: \r\n\r\n");
    check_refused("GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", HttpErrc::bad_host);
    check_accepted("GET / HTTP/1.0\r\n\r\n");
    check_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HttpErrc::bad_host);
}

TEST_CASE("the version is HTTP/1 and a digit (L4 to L6, L11)") {
    check_refused("GET / HTTP/1.10\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HttpErrc::unsupported_version);
    check_refused("GET / HTTP/0.9\r\nHost: a\r\n\r\n", HttpErrc::unsupported_version);
    check_refused("GET / http/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/1\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/1.\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/.1\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/11.1\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET / HTTP/1,1\r\nHost: a\r\n\r\n", HttpErrc::bad_version);
    check_refused("GET /\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("GET / \r\n\r\n", HttpErrc::bad_start_line);
    check_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HttpErrc::unsupported_version);
    CHECK(check_accepted("GET / HTTP/1.9\r\nHost: a\r\n\r\n").head.find("11000") != SIZE_MAX);
}

TEST_CASE("a request line has three parts and single spaces (L7)") {
    check_refused("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_method);
    check_refused("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_method);
    check_refused("G\xc9T / HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_method);
    check_refused(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("GET\r\n\r\n", HttpErrc::bad_start_line);
    check_refused("\x16\x03\x01\x02", HttpErrc::bad_start_line);
    check_refused("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
    check_refused("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
    check_refused("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
}

TEST_CASE("the host of an absolute target takes precedence over the Host field (L15)") {
    const SeenMessage seen = check_accepted("GET http://b/p?q HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(seen.head.starts_with("[GET][http://b/p?q][b][/p][q]"));
}

TEST_CASE("the asterisk form and the authority form belong to one method each (L16)") {
    check_accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    check_refused("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
    check_refused("GET h:1 HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
    check_refused("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", HttpErrc::bad_target);
}

TEST_CASE("Connection, Expect and Upgrade are parsed as lists") {
    const auto flags = [](std::string_view version, std::string_view fields) {
        const std::string bytes =
            "GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + std::string(fields) + "\r\n";
        const SeenMessage seen = check_accepted(bytes);
        return seen.head.substr(std::string_view("[GET][/][a][/][]0").size(), 5);
    };
    // In this order: version 1.1, keep-alive, upgrade, 100-continue, another expectation.
    CHECK(flags("1.1", "") == "11000");
    CHECK(flags("1.0", "") == "00000");
    CHECK(flags("1.1", "Connection: Close\r\n") == "10000");
    CHECK(flags("1.1", "Connection: a,, close , b\r\n") == "10000");
    CHECK(flags("1.1", "Connection: keep-alive\r\nConnection: close\r\n") == "10000");
    CHECK(flags("1.0", "Connection: Keep-Alive\r\n") == "01000");
    CHECK(flags("1.0", "Connection: keep-alive, close\r\n") == "00000");
    CHECK(flags("1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n") == "11100");
    CHECK(flags("1.1", "Upgrade: websocket\r\n") == "11000");
    CHECK(flags("1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n") == "00000");
    CHECK(flags("1.1", "Expect: 100-Continue\r\n") == "11010");
    CHECK(flags("1.1", "Expect: tea\r\n") == "11001");
    CHECK(flags("1.0", "Expect: 100-continue\r\n") == "00000");
    CHECK(flags("1.1", "Connection:\r\n") == "11000");
    check_refused(kGet + "Connection: clo se\r\n\r\n", HttpErrc::bad_connection);
    check_refused(kGet + "Connection: \"close\"\r\n\r\n", HttpErrc::bad_connection);
}

TEST_CASE("a parser needs more bytes until the message is complete") {
    const std::string whole = kPost + "Content-Length: 5\r\n\r\nhello";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const SeenMessage seen = read_message(std::string_view(whole).substr(0, size), {});
        CHECK(seen.progress == http::Progress::need_more);
    }
}

}  // namespace uaio::http_request_test
