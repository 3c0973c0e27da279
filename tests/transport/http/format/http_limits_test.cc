// The limits of a head, to the byte, however it is cut.
#include <uaio/error.h>
#include <uaio/http_error.h>

#include "tests/support/http_reader.h"
#include "transport/http/format/error.h"

#include <doctest/doctest.h>

namespace uaio::http_limits_test {

using http::Limits;

SeenMessage read(std::string_view bytes, const Limits& limits, bool response = false) {
    std::string disagreement;
    const SeenMessage seen =
        read_every_way(bytes, {.response = response, .limits = limits}, disagreement);
    CHECK(disagreement == "");
    return seen;
}

std::string repeated(std::size_t count, std::string_view text) {
    std::string all;
    while (count-- > 0)
        all += text;
    return all;
}

TEST_CASE("a request line may be as long as its limit and no longer (X1)") {
    const std::string line = "GET /aaaaaaaa HTTP/1.1\r\n";
    const std::string rest = "Host: a\r\n\r\n";
    Limits limits;
    limits.start_line = line.size();
    CHECK(read(line + rest, limits).accepted());
    CHECK(read("\r\n" + line + rest, limits).accepted());
    for (std::size_t limit = 0; limit < line.size(); ++limit) {
        limits.start_line = limit;
        CHECK(read(line + rest, limits).refused_with(HttpErrc::start_line_too_long));
    }
    CHECK(http::status_of(HttpErrc::start_line_too_long) == 414);
}

TEST_CASE("a line that is too long is refused before its end is received") {
    Limits limits;
    CHECK(read_message("GET /" + std::string(limits.start_line, 'a'), {})
              .refused_with(HttpErrc::start_line_too_long));
    CHECK(read_message(std::string(limits.start_line, 'a'), {})
              .refused_with(HttpErrc::start_line_too_long));
    CHECK(!read_message("GET /" + std::string(limits.start_line - 6, 'a'), {})
               .refused_with(HttpErrc::start_line_too_long));
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (const char* const begin : {"", "X:", "X: "}) {
        CHECK(read_message(head + begin + std::string(limits.field, 'a'), {})
                  .refused_with(HttpErrc::field_too_long));
    }
    CHECK(read_message(head + "X:" + std::string(limits.field, ' '), {})
              .refused_with(HttpErrc::field_too_long));
}

TEST_CASE("a field may be as long as its limit and no longer (X1)") {
    const std::string field = "X-Name: value\r\n";
    const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n";
    Limits limits;
    limits.field = field.size();
    CHECK(read(bytes, limits).accepted());
    limits.field = field.size() - 1;
    CHECK(read(bytes, limits).refused_with(HttpErrc::field_too_long));
    limits.field = 0;
    CHECK(read(bytes, limits).refused_with(HttpErrc::field_too_long));
    CHECK(http::status_of(HttpErrc::field_too_long) == 431);
}

TEST_CASE("a head may be as long as its limit and no longer (X1)") {
    const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    Limits limits;
    limits.head = bytes.size();
    CHECK(read(bytes, limits).accepted());
    CHECK(read(bytes + "more", limits).accepted());
    for (std::size_t limit = 17; limit < bytes.size(); ++limit) {
        limits.head = limit;
        CHECK(read(bytes, limits).refused_with(HttpErrc::head_too_long));
    }
    CHECK(http::status_of(HttpErrc::head_too_long) == 431);
}

TEST_CASE("the limit of a head includes an empty line before the request line") {
    const std::string line = "GET / HTTP/1.1\r\n";
    const std::string bytes = "\r\n" + line + "Host: a\r\n\r\n";
    Limits limits;
    limits.head = bytes.size();
    CHECK(read(bytes, limits).accepted());
    for (std::size_t limit = line.size(); limit < bytes.size(); ++limit) {
        limits.head = limit;
        CHECK(read(bytes, limits).refused_with(HttpErrc::head_too_long));
    }
}

TEST_CASE("a head with more fields than the limit is refused (X1)") {
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
    Limits limits;
    limits.fields = 3;
    CHECK(read(head + "A: b\r\nC: d\r\n\r\n", limits).accepted());
    CHECK(read(head + "A: b\r\nC: d\r\nE: f\r\n\r\n", limits)
              .refused_with(HttpErrc::too_many_fields));
    const Limits usual;
    const auto with = [&](std::size_t more) {
        return read_message(head + repeated(more, "A: b\r\n") + "\r\n", {});
    };
    CHECK(with(usual.fields - 1).accepted());
    CHECK(with(usual.fields).refused_with(HttpErrc::too_many_fields));
    CHECK(http::status_of(HttpErrc::too_many_fields) == 431);
}

TEST_CASE("a head with more fields than the array has room for is refused") {
    http::FieldSlice room[2];
    http::RequestParser parser(room);
    CHECK(parser.parse("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n").progress ==
          http::Progress::complete);
    parser.reset();
    CHECK(parser.parse("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n").fault ==
          HttpErrc::too_many_fields);
}

TEST_CASE("a status line may be as long as its limit and no longer") {
    const std::string line = "HTTP/1.1 200 Fine\r\n";
    Limits limits;
    limits.start_line = line.size();
    CHECK(read(line + "\r\n", limits, true).accepted());
    for (std::size_t limit = 0; limit < line.size(); ++limit) {
        limits.start_line = limit;
        CHECK(read(line + "\r\n", limits, true).refused_with(HttpErrc::start_line_too_long));
    }
}

TEST_CASE("each parse error has a status that a server may send") {
    for (int code = 1; code <= static_cast<int>(HttpErrc::bad_chunk_end); ++code) {
        const auto fault = static_cast<HttpErrc>(code);
        const int status = http::status_of(fault);
        CAPTURE(name_of(fault));
        CHECK((status == 400 || status == 414 || status == 431 || status == 501 || status == 505));
    }
    CHECK(http::status_of(HttpErrc::unsupported_version) == 505);
    CHECK(http::status_of(HttpErrc::unsupported_transfer_coding) == 501);
    CHECK(http::status_of(HttpErrc::bad_host) == 400);
}

TEST_CASE("every HTTP error has a name and a sentence of its own") {
    std::string names;
    std::string sentences;
    for (int code = 1; code <= static_cast<int>(HttpErrc::bad_chunk_end); ++code) {
        const std::error_code error = static_cast<HttpErrc>(code);
        CHECK(error.category() == http_category());
        CHECK(!error.message().starts_with("unknown"));
        CHECK(names.find("\n" + error.message() + "\n") == names.npos);
        names += "\n" + error.message() + "\n";
        CHECK(strerror(error).ends_with('.'));
        CHECK(sentences.find(strerror(error)) == sentences.npos);
        sentences += strerror(error);
    }
    CHECK(std::string_view(http_category().name()) == "http");
    CHECK(std::error_code(999, http_category()).message() == "unknown error 999");
    CHECK(strerror({999, http_category()}) == "unknown error 999 (http 999).");
}

}  // namespace uaio::http_limits_test
