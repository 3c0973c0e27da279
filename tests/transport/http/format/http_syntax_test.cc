#include "transport/http/format/syntax.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http::http_syntax_test {

TEST_CASE("the classes of characters are those of the RFC") {
    const std::string_view token =
        "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
    for (int code = 0; code < 256; ++code) {
        CAPTURE(code);
        const char character = static_cast<char>(code);
        CHECK(is(kToken, character) == (token.find(character) != token.npos));
        CHECK(is(kValue, character) == (code == 9 || (code >= 32 && code != 127)));
        CHECK(is(kTarget, character) == (code > 32 && code < 127 && code != '#'));
        CHECK(is(kDigit, character) == (code >= '0' && code <= '9'));
        CHECK(is(kHexDigit, character) ==
              (std::string_view("0123456789abcdefABCDEF").find(character) != token.npos));
        CHECK(is(kWhiteSpace, character) == (code == ' ' || code == '\t'));
    }
}

void check_scan(Scanner::Scan scan, Scanner::Scan plain, std::string_view text) {
    // A separate block, so that a sanitizer detects a read beyond it.
    const auto block = std::make_unique<char[]>(text.size());
    std::ranges::copy(text, block.get());
    for (const std::size_t at : {std::size_t{0}, text.size() / 3, text.size() / 2, text.size()})
        CHECK(scan(block.get(), at, text.size()) == plain(block.get(), at, text.size()));
}

void check_scanner(const Scanner& scanner, std::string_view text) {
    check_scan(scanner.token, plain_scanner().token, text);
    check_scan(scanner.value, plain_scanner().value, text);
    check_scan(scanner.target, plain_scanner().target, text);
}

TEST_CASE("every scanner stops at the same bytes as the plain one") {
    CHECK(usable_scanners().front() == &plain_scanner());
    CHECK(usable_scanners().back() == &best_scanner());
    for (const Scanner* scanner : usable_scanners()) {
        CAPTURE(scanner->name);
        for (int code = 0; code < 256; ++code) {
            for (const std::size_t place : {0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 63}) {
                std::string text(64, 'a');
                text[place] = static_cast<char>(code);
                check_scanner(*scanner, text);
            }
        }
    }
}

TEST_CASE("every scanner agrees with the plain one on random bytes") {
    std::mt19937_64 random(7230);
    const std::string_view mostly = "abcXYZ019-_!~:/ \t\"\r\n#\x7f\x80\xff";
    for (const Scanner* scanner : usable_scanners()) {
        CAPTURE(scanner->name);
        for (int round = 0; round < 20000; ++round) {
            std::string text(random() % 100, 'a');
            // Mostly members with a few others, for long runs as well as short ones.
            for (std::size_t changes = random() % 4; changes > 0 && !text.empty(); --changes) {
                const auto place = random() % text.size();
                text[place] =
                    random() % 2 ? static_cast<char>(random()) : mostly[random() % mostly.size()];
            }
            check_scanner(*scanner, text);
        }
    }
}

TEST_CASE("a length consists of digits only and is below 2^63") {
    CHECK(parse_length("0") == 0);
    CHECK(parse_length("000000000000000000000000005") == 5);
    CHECK(parse_length("9223372036854775807") == 9223372036854775807U);
    for (const std::string_view text :
         {"", "-1", "+5", "0x5", "5 5", "5,5", " 5", "5 ", "5.", "a", "9223372036854775808",
          "18446744073709551615", "18446744073709551616", "18446744073709551621",
          "99999999999999999999999"}) {
        CAPTURE(text);
        CHECK(!parse_length(text));
    }
}

TEST_CASE("a list is split at commas outside quoted strings") {
    std::string_view list = " a, b;c=\"d,\\\"e\" ,, f\t";
    std::string_view element;
    for (const std::string_view wanted : {"a", "b;c=\"d,\\\"e\"", "", "f"}) {
        REQUIRE(next_element(list, element));
        CHECK(element == wanted);
    }
    CHECK(!next_element(list, element));
    list = "";
    REQUIRE(next_element(list, element));
    CHECK(element.empty());
    CHECK(!next_element(list, element));
    for (const std::string_view open : {"\"", "a\"\\", "\"\\", ","}) {
        list = open;
        while (next_element(list, element)) {
        }
    }
    CHECK(has_element("keep-alive, Close", "close"));
    CHECK(!has_element("keep-alive, not-close", "close"));
    CHECK(!has_element("", "close"));
}

TEST_CASE("names are compared without regard to case") {
    CHECK(same_name("Content-Length", "cONTENT-lENGTH"));
    CHECK(same_name("", ""));
    CHECK(!same_name("a", "aa"));
    CHECK(!same_name("@", "`"));  // these differ only in the bit of a letter's case
    CHECK(!same_name("[", "{"));
    CHECK(trimmed(" \t a b\t ") == "a b");
    CHECK(trimmed(" \t ").empty());
}

TEST_CASE("names of every length and with every character differ in the case of letters only") {
    const auto lower = [](unsigned byte) {
        return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
    };
    int differences = 0;
    for (std::size_t size = 1; size <= 20; ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            for (unsigned byte = 0; byte < 256; ++byte) {
                for (const unsigned bit : {0x00U, 0x20U, 0x01U, 0x80U, 0xa0U}) {
                    std::string a(size, 'x');
                    std::string b(size, 'X');
                    a[at] = static_cast<char>(byte);
                    b[at] = static_cast<char>(byte ^ bit);
                    const bool same = lower(byte) == lower(byte ^ bit);
                    differences += same_name(a, b) != same;
                }
            }
        }
    }
    CHECK(differences == 0);
}

}  // namespace uaio::http::http_syntax_test
