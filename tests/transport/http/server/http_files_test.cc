// The responses of handlers for files and directories, over real sockets and real files.
#include <uaio/argument_error.h>

#include "tests/support/server_fixture.h"
#include "tests/support/temporary_folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

namespace uaio::http_files_test {

using namespace std::chrono_literals;

// The served folder, and a secret beside it.
class Served : public TemporaryFolder {
public:
    const std::string large = pattern(3 << 20);

    void write(const std::string& name, std::string_view content) const {
        std::ofstream(at(name), std::ios::binary) << content;
    }

    Served() {
        REQUIRE(::mkdir(at("root").c_str(), 0755) == 0);
        REQUIRE(::mkdir(at("root/sub dir").c_str(), 0755) == 0);
        write("secret", "secret");
        write("root/index.html", "<p>index");
        write("root/a b.txt", "0123456789");
        write("root/large.bin", large);
        write("root/empty.css", "");
        REQUIRE(::symlink("../secret", at("root/out").c_str()) == 0);
        REQUIRE(::symlink("a b.txt", at("root/in").c_str()) == 0);
        REQUIRE(::mkfifo(at("root/fifo").c_str(), 0644) == 0);
    }
};

bool follows_links() {
    open_how how{};
    how.flags = O_PATH;
    const long fd = ::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
    if (fd >= 0) ::close(static_cast<int>(fd));
    return fd >= 0;
}

// A file's time of modification, in the two older forms.
struct Dates {
    explicit Dates(const std::string& path) {
        struct stat state {};
        REQUIRE(::stat(path.c_str(), &state) == 0);
        tm time{};
        ::gmtime_r(&state.st_mtim.tv_sec, &time);
        char text[64];
        std::strftime(text, sizeof text, "%A, %d-%b-%y %H:%M:%S GMT", &time);
        rfc850 = text;
        std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &time);
        asctime = text;
    }
    std::string rfc850;
    std::string asctime;
};

void serve(ServerFixture& fixture, const Served& folder) {
    fixture.server().handle("", "/", http::directory(folder.at("root"))).prefix();
    fixture.server().handle("", "/files", http::directory(folder.at("root"))).prefix();
    fixture.server().handle("", "/one", http::file(folder.at("root/a b.txt")));
    fixture.server().handle("", "/fixed", http::fixed_content("fixed", "text/x"));
    fixture.server().handle("", "/moved", http::redirect("/fixed", 302));
    fixture.listen();
}

TEST_CASE_TEMPLATE("files and directories are served, and none outside the root", Kernel, OnLinux,
                   OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    serve(fixture, folder);
    CHECK(content_of(fixture.get("/")) == "<p>index");
    CHECK(has_line(fixture.get("/"), "Content-Type: text/html; charset=utf-8"));
    CHECK(content_of(fixture.get("/a%20b.txt")) == "0123456789");
    // Where openat2(2) is unavailable, as under valgrind 3.19, no links are followed at all.
    if (follows_links()) CHECK(content_of(fixture.get("/in")) == "0123456789");
    CHECK(content_of(fixture.get("/one")) == "0123456789");
    CHECK(content_of(fixture.get("/fixed")) == "fixed");
    CHECK(content_of(fixture.get("/large.bin")) == folder.large);
    CHECK(content_of(fixture.get("/empty.css")).empty());
    CHECK(has_line(fixture.get("/moved"), "Location: /fixed"));
    CHECK(has_line(fixture.get("/files"), "Location: /files/"));
    CHECK(has_line(fixture.get("/sub%20dir"), "Location: /sub%20dir/"));
    for (const char* target :
         {"/out", "/none", "/fifo", "/sub%20dir/", "/a%20b.txt/x", "/%2e%2e/secret"}) {
        const std::string status = status_of(fixture.get(target));
        CHECK_MESSAGE((status == "HTTP/1.1 404 Not Found" || status == "HTTP/1.1 400 Bad Request"),
                      target << ": " << status);
    }
    CHECK(status_of(fixture.ask("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                "Content-Length: 0\r\n\r\n")) == "HTTP/1.1 405 Method Not Allowed");
    CHECK_THROWS_AS(http::directory(folder.at("none")), std::system_error);
}

TEST_CASE_TEMPLATE("an encoded slash, dot or NUL in a path names no file", Kernel, OnLinux,
                   OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    serve(fixture, folder);
    folder.write("root/sub dir/file", "in a folder");
    folder.write("root/a%2Fb", "no folder");
    CHECK(content_of(fixture.get("/sub%20dir/file")) == "in a folder");
    CHECK(content_of(fixture.get("/a%252Fb")) == "no folder");
    for (const char* target :
         {"/sub%20dir%2Ffile", "/sub%20dir%2ffile", "/..%2Fsecret", "/%2e%2e%2fsecret",
          "/%2e%2e/secret", "/sub%20dir/..%2F..%2Fsecret", "/%2Fetc/passwd", "/index.html%2F",
          "/index.html%00", "/index.html%00.css", "/%252e%252e/secret", "/%252Findex.html",
          "/files%2Findex.html", "/files/sub%20dir%2F", "/files/%2F", "/a%2Fb", "/a%2fb"}) {
        const std::string seen = fixture.get(target);
        const std::string status = status_of(seen).substr(9, 3);
        CHECK_MESSAGE((status == "404" || status == "400"), target << ": " << status);
        CHECK(seen.find("secret") == std::string::npos);
    }
}

TEST_CASE_TEMPLATE("a small file is cached for a time, and then checked again", Kernel, OnLinux,
                   OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    const std::string root = folder.at("root");
    fixture.server().handle("GET", "/long", http::directory(root, {.keep = 1h})).prefix();
    fixture.server().handle("GET", "/short", http::directory(root, {.keep = 1ms})).prefix();
    fixture.server().handle("GET", "/never", http::directory(root, {.keep = 0s})).prefix();
    fixture.server()
        .handle("GET", "/little", http::directory(root, {.keep = 1h, .keep_bytes = 1}))
        .prefix();
    fixture.listen();
    for (const char* tree : {"/long", "/short", "/never", "/little"}) {
        CHECK(content_of(fixture.get(tree + std::string("/a%20b.txt"))) == "0123456789");
    }
    folder.write("root/a b.txt", "changed, longer");
    folder.write("root/other.txt", "other");
    CHECK(content_of(fixture.get("/long/a%20b.txt")) == "0123456789");
    CHECK(content_of(fixture.get("/long/a%20b.txt", "Range: bytes=2-4\r\n")) == "234");
    CHECK(content_of(fixture.get("/never/a%20b.txt")) == "changed, longer");
    CHECK(content_of(fixture.get("/little/other.txt")) ==
          "other");  // the cache has room for one only
    CHECK(content_of(fixture.get("/little/a%20b.txt")) == "changed, longer");
    REQUIRE(fixture.run_until(
        [&] { return content_of(fixture.get("/short/a%20b.txt")) == "changed, longer"; }));
}

TEST_CASE_TEMPLATE("a connection stays open after a file that is sent in pieces", Kernel, OnLinux,
                   OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    serve(fixture, folder);
    RawPeer peer = fixture.connect();
    std::size_t wanted = 0;
    for (std::uint64_t i = 1; i <= 3; ++i) {
        peer.send("GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        REQUIRE(fixture.run_until([&] {
            peer.read_some();
            return fixture.server().requests() == i;
        }));
        const std::string seen =
            fixture.receive(peer, folder.large.substr(folder.large.size() - 99));
        if (wanted == 0) wanted = seen.size();
        CHECK(seen.size() == i * wanted);
        CHECK(content_of(seen.substr((i - 1) * wanted)) == folder.large);
    }
    CHECK(fixture.server().connections() == 1);
}

TEST_CASE("handlers refuse paths and header values with control characters") {
    const Served folder;
    const std::string cut = folder.at("root") + std::string("\0/sub dir", 9);
    CHECK_THROWS_AS(http::directory(cut), std::invalid_argument);
    CHECK_THROWS_AS(http::directory(folder.at("root"), {.index = std::string("a\0b", 3)}),
                    std::invalid_argument);
    CHECK_THROWS_AS(http::file(folder.at("root/a b.txt") + std::string("\0.png", 5)),
                    std::invalid_argument);
    for (const std::string bad : {"text/html\r\nX: evil", "a\nb", "a\x7f"}) {
        CHECK_THROWS_AS(http::file(folder.at("root/a b.txt"), bad), std::invalid_argument);
        CHECK_THROWS_AS(http::fixed_content("", bad), std::invalid_argument);
        CHECK_THROWS_AS(http::redirect("/" + bad), std::invalid_argument);
    }
}

TEST_CASE_TEMPLATE("an error page has no fields of the file that failed", Kernel, OnLinux, OnPoll) {
    const Served folder;
    std::error_code error;
    ServerFixture fixture(Kernel::kKind, {.access_log = [&](const http::AccessRecord& record) {
                              error = record.error;
                          }});
    // A file conflicts with the Transfer-Encoding that the outer handler has set.
    const http::Handler file = http::file(folder.at("root/large.bin"));
    fixture.server().handle("GET", "/", [&](http::Exchange& exchange) {
        REQUIRE(!exchange.response().headers().set("Transfer-Encoding", "chunked"));
        file(exchange);
    });
    fixture.listen();
    const std::string seen = fixture.get("/");
    CHECK(status_of(seen) == "HTTP/1.1 500 Internal Server Error");
    for (const char* const name : {"ETag", "Last-Modified", "Accept-Ranges"}) {
        CHECK(seen.find(name) == std::string::npos);
    }
    CHECK(error == ArgumentErrc::conflicting_header);
}

TEST_CASE_TEMPLATE("a request for a range gets only that range", Kernel, OnLinux, OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    serve(fixture, folder);
    const auto part = [&](const std::string& range) {
        return fixture.get("/a%20b.txt", "Range: " + range + "\r\n");
    };
    CHECK(status_of(part("bytes=2-4")) == "HTTP/1.1 206 Partial Content");
    CHECK(has_line(part("bytes=2-4"), "Content-Range: bytes 2-4/10"));
    CHECK(content_of(part("bytes=2-4")) == "234");
    CHECK(content_of(part("bytes=8-")) == "89");
    CHECK(content_of(part("bytes=8-99")) == "89");
    CHECK(content_of(part("bytes=-3")) == "789");
    // Beyond the range of any integer type (RFC 9110 14.1.2).
    const std::string more = "18446744073709551616";
    for (const std::string& huge : {more, "1" + more, std::string("9223372036854775808")}) {
        CHECK(has_line(part("bytes=0-" + huge), "Content-Range: bytes 0-9/10"));
        CHECK(has_line(part("bytes=-" + huge), "Content-Range: bytes 0-9/10"));
        CHECK(has_line(part("bytes=" + huge + "-"), "Content-Range: bytes */10"));
        CHECK(has_line(part("bytes=" + huge + "-" + huge), "Content-Range: bytes */10"));
    }
    CHECK(status_of(part("bytes=10-")) == "HTTP/1.1 416 Range Not Satisfiable");
    CHECK(has_line(part("bytes=10-"), "Content-Range: bytes */10"));
    for (const char* ignored : {"bytes=4-2", "bytes=1-2,4-5", "lines=1-2", "bytes=x-", "bytes=-"}) {
        CHECK(content_of(part(ignored)) == "0123456789");
    }
    CHECK(content_of(fixture.get("/large.bin", "Range: bytes=1000000-2000000\r\n")) ==
          folder.large.substr(1000000, 1000001));
}

TEST_CASE_TEMPLATE("a file is sent if the conditions of the request hold", Kernel, OnLinux,
                   OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    serve(fixture, folder);
    const std::string whole = fixture.get("/a%20b.txt");
    const std::size_t at = whole.find("\r\nETag: ") + 8;
    const std::string tag = whole.substr(at, whole.find("\r\n", at) - at);
    const std::size_t date_at = whole.find("\r\nLast-Modified: ") + 17;
    const std::string date = whole.substr(date_at, whole.find("\r\n", date_at) - date_at);
    const auto status_with = [&](const std::string& fields) {
        return status_of(fixture.get("/a%20b.txt", fields)).substr(9, 3);
    };
    CHECK(status_with("If-None-Match: \"x\", W/" + tag + "\r\n") == "304");
    CHECK(status_with("If-None-Match: *\r\n") == "304");
    CHECK(status_with("If-None-Match: \"x\"\r\n") == "200");
    CHECK(status_with("If-Modified-Since: " + date + "\r\n") == "304");
    CHECK(status_with("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == "200");
    // The older forms of a date (RFC 9110 5.6.7).
    const Dates dates(folder.at("root/a b.txt"));
    CHECK(status_with("If-Modified-Since: " + dates.rfc850 + "\r\n") == "304");
    CHECK(status_with("If-Modified-Since: " + dates.asctime + "\r\n") == "304");
    CHECK(status_with("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n") == "200");
    CHECK(status_with("If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n") == "200");
    CHECK(status_with("If-Unmodified-Since: " + dates.rfc850 + "\r\n") == "200");
    CHECK(status_with("If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n") == "412");
    CHECK(status_with("If-Unmodified-Since: Sun Nov  6 08:49:37 1994\r\n") == "412");
    for (const std::string& same : {date, dates.rfc850, dates.asctime})
        CHECK(status_with("Range: bytes=0-0\r\nIf-Range: " + same + "\r\n") == "206");
    for (const char* other : {"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "x"}) {
        const std::string field = std::string("If-Range: ") + other + "\r\n";
        CHECK(status_with("Range: bytes=0-0\r\n" + field) == "200");
    }
    CHECK(status_with("If-Match: \"x\"\r\n") == "412");
    CHECK(status_with("If-Match: " + tag + "\r\n") == "200");
    CHECK(status_with("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == "412");
    CHECK(status_with("Range: bytes=0-0\r\nIf-Range: " + tag + "\r\n") == "206");
    CHECK(status_with("Range: bytes=0-0\r\nIf-Range: \"x\"\r\n") == "200");
}

TEST_CASE_TEMPLATE("a redirect keeps the rest of a prefix route's path, and the query", Kernel,
                   OnLinux, OnPoll) {
    const Served folder;
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("", "/", http::directory(folder.at("root"))).prefix();
    fixture.server().handle("", "/files", http::directory(folder.at("root"))).prefix();
    fixture.server().handle("", "/moved", http::redirect("/fixed", 302));
    fixture.server().handle("", "/docs", http::redirect("/manual")).prefix();
    fixture.server()
        .handle("", "/site", http::redirect("https://new.test/?from=old#top", 301))
        .prefix();
    fixture.server().handle("", "/root", http::redirect("/")).prefix();
    fixture.listen();
    const auto location = [&](const std::string& target) {
        const std::string seen = fixture.get(target);
        const std::size_t at = seen.find("\r\nLocation: ");
        return at == seen.npos ? seen : seen.substr(at + 12, seen.find("\r\n", at + 2) - at - 12);
    };
    CHECK(location("/docs") == "/manual");
    CHECK(location("/docs/page?x=1") == "/manual/page?x=1");
    CHECK(location("/docs/a%20b/c%3Fd/?x=%0d%0a&y=//") == "/manual/a%20b/c%3Fd/?x=%0d%0a&y=//");
    CHECK(location("/site/a?x=1") == "https://new.test/a?from=old&x=1#top");
    CHECK(location("/moved?x=1") == "/fixed?x=1");
    CHECK(location("/root//evil.test/?x") == "/evil.test/?x");
    CHECK(location("/root/%5Cevil.test") == "/%5Cevil.test");
    CHECK(location("/root/\\evil.test") == "/%5Cevil.test");
    CHECK(location("/root/%0D%0ASet-Cookie:x") == "/%0D%0ASet-Cookie:x");
    CHECK(location("/sub%20dir?a=b&c") == "/sub%20dir/?a=b&c");
    CHECK(location("//sub%20dir?a") == "/sub%20dir/?a");
    CHECK(location("/files?a=b") == "/files/?a=b");
    CHECK(location("http://h/sub%20dir?a=b") == "/sub%20dir/?a=b");
}

TEST_CASE_TEMPLATE("a directory that is created again or replaced is served with its new files",
                   Kernel, OnLinux, OnPoll) {
    const TemporaryFolder folder;
    const auto make = [&](const std::string& name, const std::string& text) {
        REQUIRE(::mkdir(folder.at(name).c_str(), 0755) == 0);
        std::ofstream(folder.at(name + "/file")) << text;
        REQUIRE(::symlink("../secret", folder.at(name + "/out").c_str()) == 0);
    };
    std::ofstream(folder.at("secret")) << "secret";
    make("first", "first");
    make("second", "second");
    REQUIRE(::symlink("first", folder.at("link").c_str()) == 0);
    ServerFixture fixture(Kernel::kKind);
    const http::DirectoryOptions looks{.keep = 0s};
    fixture.server().handle("", "/link", http::directory(folder.at("link"), looks)).prefix();
    fixture.server().handle("", "/first", http::directory(folder.at("first"), looks)).prefix();
    fixture.server()
        .handle("", "/kept", http::directory(folder.at("link"), {.keep = 1ms}))
        .prefix();
    fixture.listen();
    CHECK(content_of(fixture.get("/link/file")) == "first");
    CHECK(content_of(fixture.get("/first/file")) == "first");
    CHECK(content_of(fixture.get("/kept/file")) == "first");

    REQUIRE(::symlink("second", folder.at("new").c_str()) == 0);
    REQUIRE(std::rename(folder.at("new").c_str(), folder.at("link").c_str()) == 0);
    CHECK(content_of(fixture.get("/link/file")) == "second");
    REQUIRE(fixture.run_until([&] { return content_of(fixture.get("/kept/file")) == "second"; }));
    CHECK(status_of(fixture.get("/link/out")) == "HTTP/1.1 404 Not Found");

    std::filesystem::remove_all(folder.at("first"));
    CHECK(status_of(fixture.get("/first/file")) == "HTTP/1.1 404 Not Found");
    make("first", "again");
    CHECK(content_of(fixture.get("/first/file")) == "again");
    CHECK(status_of(fixture.get("/first/out")) == "HTTP/1.1 404 Not Found");
    std::filesystem::remove_all(folder.at("first"));
    std::ofstream(folder.at("first")) << "a file now";
    CHECK(status_of(fixture.get("/first/file")) == "HTTP/1.1 404 Not Found");
}

TEST_CASE_TEMPLATE("relative paths refer to the working directory at the handler's construction",
                   Kernel, OnLinux, OnPoll) {
    const Served folder;
    const std::filesystem::path before = std::filesystem::current_path();
    ServerFixture fixture(Kernel::kKind);
    std::filesystem::current_path(folder.path());
    fixture.server().handle("", "/", http::directory("root", {.keep = 0s})).prefix();
    fixture.server().handle("", "/one", http::file("root/a b.txt"));
    std::filesystem::current_path(before);
    fixture.listen();
    CHECK(content_of(fixture.get("/a%20b.txt")) == "0123456789");
    CHECK(content_of(fixture.get("/one")) == "0123456789");
    CHECK_THROWS_AS(http::directory(""), std::system_error);
}

}  // namespace uaio::http_files_test
