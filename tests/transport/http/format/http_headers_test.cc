#include <uaio/argument_error.h>
#include <uaio/error.h>
#include <uaio/http_headers.h>

#include <algorithm>
#include <ostream>
#include <random>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::http::http_headers_test {

std::string all(const Headers& headers) {
    std::string text;
    for (const auto [name, value] : headers)
        text.append(name).append("=").append(value).append(";");
    return text;
}

TEST_CASE("a header is found whatever the case of its name") {
    Headers headers;
    CHECK(!headers.get("Accept"));
    CHECK(!headers.set("Accept", "text/html"));
    CHECK(headers.get("ACCEPT") == "text/html");
    CHECK(headers.contains("accept"));
    CHECK(!headers.contains("accep"));
    CHECK(headers.text() == "Accept: text/html\r\n");
    CHECK(!headers.set("X", ""));
    CHECK(headers.get("x") == "");
    CHECK(headers.size() == 2);
    headers.clear();
    CHECK(headers.empty());
    CHECK(headers.text().empty());
}

TEST_CASE("set replaces a header in place, and add joins the values") {
    Headers headers;
    CHECK(!headers.set("A", "1"));
    CHECK(!headers.set("B", "2"));
    CHECK(!headers.set("C", "3"));
    CHECK(!headers.set("b", " longer than before\t"));
    CHECK(all(headers) == "A=1;b=longer than before;C=3;");
    CHECK(!headers.set("A", ""));
    CHECK(!headers.add("a", "4"));
    CHECK(!headers.add("A", "5"));
    CHECK(!headers.add("A", "  "));
    CHECK(all(headers) == "A=4, 5;b=longer than before;C=3;");
    CHECK(!headers.add("D", "6"));
    CHECK(headers.text() == "A: 4, 5\r\nb: longer than before\r\nC: 3\r\nD: 6\r\n");
    CHECK(headers.line(1) == "b: longer than before\r\n");
    CHECK(headers.line(3) == "D: 6\r\n");
}

TEST_CASE("Cookie values are joined by RFC 6265, and Set-Cookie values are never joined") {
    Headers headers;
    CHECK(!headers.add("Cookie", "a=b"));
    CHECK(!headers.add("cookie", "c=d"));
    CHECK(headers.get("Cookie") == "a=b; c=d");
    CHECK(!headers.add("Set-Cookie", "a=b"));
    CHECK(!headers.add("set-cookie", "c=d"));
    CHECK(!headers.add("Set-Cookie", "e=f"));
    CHECK(headers.size() == 4);
    CHECK(headers.get("Set-Cookie") == "a=b");
    CHECK(!headers.set("Set-Cookie", "g=h"));
    CHECK(all(headers) == "Cookie=a=b; c=d;Set-Cookie=g=h;");
}

TEST_CASE("erase deletes every header of a name and returns their number") {
    Headers headers;
    CHECK(!headers.add("Set-Cookie", "a"));
    CHECK(!headers.set("X", "set-cookie"));
    CHECK(!headers.add("Set-Cookie", "b"));
    CHECK(!headers.set("Y", "z"));
    CHECK(headers.erase("none") == 0);
    CHECK(headers.erase(*headers.get("X")) == 2);  // a view of the changing text
    CHECK(all(headers) == "X=set-cookie;Y=z;");
    CHECK(headers.erase(headers[0].name) == 1);
    CHECK(headers.erase(headers[0].name) == 1);
    CHECK(headers.text().empty());
}

TEST_CASE("a header may be set from views of the headers themselves") {
    Headers headers;
    CHECK(!headers.set("A", "value of a"));
    CHECK(!headers.set("B", *headers.get("A")));
    CHECK(!headers.set("A", headers.get("A")->substr(6)));
    CHECK(!headers.add("A", *headers.get("B")));
    CHECK(!headers.set(*headers.get("A") == "of a, value of a" ? headers[1].name : "?", "x"));
    CHECK(all(headers) == "A=of a, value of a;B=x;");
}

TEST_CASE("names and values that contain a line end are refused (W1, W2)") {
    for (int code = 0; code < 256; ++code) {
        CAPTURE(code);
        const char character = static_cast<char>(code);
        Headers headers;
        const bool control = (code < 32 && code != '\t') || code == 127;
        CHECK((headers.set("X", std::string("a") + character + "b") ==
               ArgumentErrc::invalid_header_value) == control);
        const bool token =
            std::string_view("()<>@,;:\\\"/[]?={} \t").find(character) == std::string_view::npos &&
            !control && code < 128;
        CHECK((headers.set(std::string("X") + character, "a") ==
               ArgumentErrc::invalid_header_name) != token);
        CHECK(headers.add(std::string("Y") + character, "a").value() ==
              headers.set(std::string("Y") + character, "a").value());
    }
    Headers headers;
    CHECK(!headers.set("X", "before"));
    CHECK(headers.set("X", "a\r\nSet-Cookie: b") == ArgumentErrc::invalid_header_value);
    CHECK(headers.add("X", "a\nb") == ArgumentErrc::invalid_header_value);
    CHECK(headers.set("X", "a\r") == ArgumentErrc::invalid_header_value);
    CHECK(headers.set("X", std::string_view("a\0b", 3)) == ArgumentErrc::invalid_header_value);
    CHECK(headers.set("", "a") == ArgumentErrc::invalid_header_name);
    CHECK(headers.set("X:", "a") == ArgumentErrc::invalid_header_name);
    CHECK(headers.text() == "X: before\r\n");
}

TEST_CASE("framing and routing headers with a bad value are refused (W3, W4)") {
    Headers headers;
    for (const std::string_view host : {"a b", "a/b", "u@a", "a:x", "a\"b"})
        CHECK(headers.set("Host", host) == ArgumentErrc::invalid_header_value);
    for (const std::string_view length : {"", "-1", "+5", "5, 5", "0x5", "9223372036854775808"})
        CHECK(headers.set("content-length", length) == ArgumentErrc::invalid_header_value);
    for (const std::string_view codings : {"", "gzip", "gzip, chunked", "chunked, chunked"})
        CHECK(headers.set("Transfer-Encoding", codings) == ArgumentErrc::invalid_header_value);
    CHECK(headers.set("Connection", "clo se") == ArgumentErrc::invalid_header_value);
    CHECK(headers.empty());
    CHECK(!headers.set("Host", "[::1]:80"));
    CHECK(headers.add("host", "b") == ArgumentErrc::conflicting_header);
    CHECK(!headers.set("Host", "b"));
    CHECK(!headers.set("Content-Length", "5"));
    CHECK(headers.add("Content-Length", "5") == ArgumentErrc::conflicting_header);
    CHECK(headers.set("Transfer-Encoding", "chunked") == ArgumentErrc::conflicting_header);
    CHECK(headers.add("Transfer-Encoding", "chunked") == ArgumentErrc::conflicting_header);
    CHECK(headers.erase("Content-Length") == 1);
    CHECK(!headers.add("Transfer-Encoding", "Chunked"));
    CHECK(headers.add("Transfer-Encoding", "chunked") == ArgumentErrc::conflicting_header);
    CHECK(headers.set("Content-Length", "5") == ArgumentErrc::conflicting_header);
    CHECK(headers.add("Content-Length", "5") == ArgumentErrc::conflicting_header);
}

TEST_CASE("random changes to headers match those of a list of pairs") {
    std::mt19937_64 random(9110);
    Headers headers;
    std::vector<std::pair<std::string, std::string>> model;
    for (int step = 0; step < 20000; ++step) {
        const std::string name(1 + random() % 2, static_cast<char>('a' + random() % 3));
        const std::string value(random() % 40, static_cast<char>('0' + random() % 10));
        const auto is_it = [&](const auto& field) { return field.first == name; };
        const auto at = std::ranges::find_if(model, is_it);
        switch (random() % 3) {
            case 0:
                CHECK(!headers.set(name, value));
                at == model.end() ? void(model.emplace_back(name, value))
                                  : void(at->second = value);
                break;
            case 1:
                CHECK(!headers.add(name, value));
                if (at == model.end()) {
                    model.emplace_back(name, value);
                } else if (!value.empty() && at->second.size() < 200) {
                    at->second += (at->second.empty() ? "" : ", ") + value;
                } else if (!value.empty()) {
                    CHECK(!headers.set(name, at->second = "short"));
                }
                break;
            default:
                CHECK(headers.erase(name) == (at == model.end() ? 0 : 1));
                if (at != model.end()) model.erase(at);
        }
        std::string text;
        for (const auto& [key, content] : model)
            text += key + ": " + content + "\r\n";
        REQUIRE(headers.text() == text);
        REQUIRE(headers.size() == model.size());
    }
}

}  // namespace uaio::http::http_headers_test
