// The three forms of HTTP dates.
#include "transport/http/format/date.h"
#include "transport/http/server/file_content.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace uaio::http_date_test {

using http::parse_date;

constexpr std::int64_t kExample = 784111777;  // that of RFC 9110 5.6.7
constexpr std::int64_t kIn2026 = 1790000000;  // 2026-09-21 14:13:20

TEST_CASE("a date is read in each of the three forms") {
    CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kIn2026) == kExample);
    CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kIn2026) == kExample);
    CHECK(parse_date("Sun Nov  6 08:49:37 1994", kIn2026) == kExample);
    CHECK(parse_date("Wed Nov 16 08:49:37 1994", kIn2026) == kExample + 10 * 86400);
    CHECK(parse_date("Sun Nov 06 08:49:37 1994", kIn2026) == kExample);
    CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT") == kExample);
    for (const std::int64_t time : {std::int64_t{0}, std::int64_t{951782400}, kExample, kIn2026}) {
        const http::DateText text = http::format_date(time);
        CHECK(parse_date(std::string_view(text.data(), text.size()), 0) == time);
    }
}

TEST_CASE("a file whose modification time has no HTTP date is sent without Last-Modified") {
    for (const std::int64_t time :
         {INT64_MIN, std::int64_t{-62167219201}, std::int64_t{253402300800}, INT64_MAX}) {
        CHECK(!http::has_date(time));
        http::Response response;
        http::FilePart part;
        const http::FileState state{.size = 5, .modified = time};
        CHECK(!http::choose_part(http::Request(), state, response, part));
        CHECK(part.status == 200);
        CHECK(!response.headers().contains("Last-Modified"));
        CHECK(response.headers().contains("ETag"));
    }
    for (const std::int64_t time : {std::int64_t{-62167219200}, std::int64_t{253402300799}}) {
        const http::DateText text = http::format_date(time);
        CHECK(http::has_date(time));
        CHECK(parse_date(std::string_view(text.data(), text.size()), 0) == time);
    }
}

TEST_CASE("a year of two digits is at most 50 years in the future") {
    const auto year_of = [](const std::string& text, std::int64_t now) {
        const std::optional<std::int64_t> time = parse_date(text, now);
        REQUIRE(time);
        const http::DateText date = http::format_date(*time);
        return std::string(date.data() + 12, 4);
    };
    CHECK(year_of("Sunday, 01-Jan-00 00:00:00 GMT", kIn2026) == "2000");
    CHECK(year_of("Sunday, 01-Jan-70 00:00:00 GMT", kIn2026) == "2070");
    CHECK(year_of("Monday, 21-Sep-76 14:13:20 GMT", kIn2026) == "2076");
    CHECK(year_of("Monday, 21-Sep-76 14:13:21 GMT", kIn2026) == "1976");
    CHECK(year_of("Sunday, 01-Jan-77 00:00:00 GMT", kIn2026) == "1977");
    CHECK(year_of("Friday, 31-Dec-99 23:59:59 GMT", kIn2026) == "1999");
    constexpr std::int64_t kLeapDay = 1709164800;  // 2024-02-29
    CHECK(year_of("Sunday, 28-Feb-74 23:59:59 GMT", kLeapDay) == "2074");
    CHECK(year_of("Sunday, 01-Mar-74 00:00:00 GMT", kLeapDay) == "1974");
}

TEST_CASE("a malformed date is refused in each of the three forms") {
    for (const char* text : {"",
                             "Sun",
                             "Sun,",
                             "Sunday",
                             "Sun, 06 Nov 1994 08:49:37",
                             "Sun, 6 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Nov 1994 08:49:37 UTC",
                             "Mon, 06 Nov 1994 08:49:37 GMT",
                             "sun, 06 nov 1994 08:49:37 gmt",
                             "Sun, 06 Nov 1994 24:00:00 GMT",
                             "Sun, 06 Nov 1994 08:60:37 GMT",
                             "Sun, 06 Nov 1994 08:49:61 GMT",
                             "Thu, 30 Feb 1995 08:49:37 GMT",
                             "Sun, 06 Nov 1994 08:49:37 GMT ",
                             " Sun, 06 Nov 1994 08:49:37 GMT",
                             "Sun, 06 Nov -994 08:49:37 GMT",
                             "Sun, 06-Nov-94 08:49:37 GMT",
                             "Sunday, 06-Nov-1994 08:49:37 GMT",
                             "Sunday, 06 Nov 94 08:49:37 GMT",
                             "Someday, 06-Nov-94 08:49:37 GMT",
                             "Sunday, 31-Nov-94 08:49:37 GMT",
                             "Sunday, 06-Nov-94 08:49:37",
                             "Sun Nov 6 08:49:37 1994",
                             "Sun Nov  6 08:49:37 94",
                             "Mon Nov  6 08:49:37 1994",
                             "Sun Nov  0 08:49:37 1994",
                             "Sun Nov  6 08:49:37 1994 GMT",
                             "Sun Now  6 08:49:37 1994",
                             "784111777",
                             "1994-11-06T08:49:37Z"}) {
        CAPTURE(text);
        CHECK(!parse_date(text, kIn2026));
    }
    // A cut or a changed byte anywhere makes it invalid, and the parser reads nothing outside.
    const std::string forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                 "Sun Nov  6 08:49:37 1994"};
    for (const std::string& form : forms) {
        for (std::size_t at = 0; at < form.size(); ++at) {
            CHECK(!parse_date(std::string(form, 0, at), kIn2026));
            std::string other = form;
            other[at] = '#';
            CHECK(!parse_date(other, kIn2026));
        }
    }
}

}  // namespace uaio::http_date_test
