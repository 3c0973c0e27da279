// Handshakes and responses, split or cut off at every byte.
#include <uaio/http.h>

#include "tests/support/tls/ends.h"

#include <optional>

namespace uaio::tls_sweep_test {

using tls::Version;

constexpr Version kVersions[] = {Version::tls_1_2, Version::tls_1_3};

// The bytes of a full handshake and a message, in the longer direction.
std::size_t full_length(Version version) {
    TlsEnds ends(version);
    ends.joined();
    ends.run_some();
    CHECK(ends.write_all(ends.client(), "question") == success(8));
    return std::max(ends.to_server().taken().size(), ends.to_client().taken().size());
}

// Afterwards each side sends a message.
void exchange_data(TlsEnds& ends) {
    ends.joined();
    std::string in(8, '\0');
    CHECK(ends.write_all(ends.client(), "question") == success(8));
    CHECK(ends.read_all(ends.server(), in) == success(8));
    CHECK(ends.write_all(ends.server(), "answered") == success(8));
    CHECK(ends.read_all(ends.client(), in) == success(8));
    CHECK(in == "answered");
}

TEST_CASE("a handshake works with its bytes split at any place") {
    for (const Version version : kVersions) {
        for (const bool resume : {false, true}) {
            tls::ContextOptions options = client_options(version);
            options.resume = resume;
            const tls::Context client(options);
            const tls::Context server(server_options(version));
            const std::size_t size = full_length(version);
            for (std::size_t at = 1; at < size; ++at) {
                CAPTURE(at);
                TlsEnds ends(client, server);
                ends.to_server().split_at(at);
                ends.to_client().split_at(at);
                exchange_data(ends);
            }
            CHECK(client.resumed() == (resume ? size - 2 : 0));
        }
    }
}

TEST_CASE("a handshake works in pieces of any size") {
    for (const Version version : kVersions) {
        for (const std::size_t piece : {1, 2, 3, 5, 7, 64, 1000}) {
            TlsEnds ends(version);
            ends.to_server().pieces_of(piece);
            ends.to_client().pieces_of(piece);
            exchange_data(ends);
        }
    }
}

TEST_CASE("a handshake that ends at any byte is truncated or reset") {
    for (const Version version : kVersions) {
        tls::ContextOptions options = client_options(version);
        options.resume = false;
        const tls::Context client(options);
        const tls::Context server(server_options(version));
        TlsEnds whole(client, server);
        whole.joined();
        const std::size_t size = whole.to_client().taken().size();
        std::size_t shortest = size;  // of the successful handshakes; they lack tickets only
        for (std::size_t at = 0; at < size; at += at < 200 ? 1 : 11) {
            CAPTURE(at);
            TlsEnds ends(client, server);
            const bool resets = at % 2 == 1;
            ends.to_client().cut_at(at, resets ? Errc::connection_reset : Errc::end_of_stream);
            ends.begin();
            REQUIRE(ends.run_until([&] { return ends.connecting().done(); }));
            if (!ends.client_ended().error) {
                shortest = std::min(shortest, at);
                continue;
            }
            CHECK(at < shortest);
            CHECK(ends.client_ended() ==
                  failure(resets ? Errc::connection_reset : Errc::truncated));
            CHECK(!ends.client_handle());
        }
        CHECK(shortest > size / 2);
    }
}

// Reads a response of the server's, whose bytes end at `cut`, or are complete without one.
struct Reading {
    std::error_code head;
    std::error_code content;
    std::size_t count = 0;
    std::size_t bytes = 0;  // sent by the server, its closing alert included
};

Reading read_response(const tls::Context& client, const tls::Context& server,
                      const std::string& response, std::optional<std::size_t> cut) {
    TlsEnds ends(client, server);
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_client().taken().size();
    if (cut) ends.to_client().cut_at(before + *cut);
    Operation write(ends.engine(), response);
    ends.server().write_all(write.aio);
    REQUIRE(ends.run_until([&] { return write.done(); }));
    ends.server().close();
    http::Connection connection(std::move(ends.client_handle()));
    http::Request request("http://localhost/");
    Operation asked(ends.engine());
    connection.write_request(request, asked.aio);
    http::Response head;
    Operation read(ends.engine());
    connection.read_response(head, read.aio);
    REQUIRE(ends.run_until([&] { return asked.done() && read.done(); }));
    Reading result{.head = read.ended().error, .content = {}};
    while (!result.head && !result.content) {
        std::string in(1000, '\0');
        Operation more(ends.engine(), in);
        connection.read_content().read(more.aio);
        REQUIRE(ends.run_until([&] { return more.done(); }));
        result.content = more.ended().error;
        result.count += more.ended().count;
    }
    connection.close();
    ends.run_some();
    result.bytes = ends.to_client().taken().size() - before;
    return result;
}

const std::string kContent = pattern(150);
const std::string kResponses[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n" + kContent,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + kContent.substr(0, 100) +
        "\r\n32\r\n" + kContent.substr(100) + "\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n" + kContent,
};

TEST_CASE("a response over tls that is cut at any byte never ends with end_of_stream") {
    for (const Version version : kVersions) {
        tls::ContextOptions options = server_options(version);
        const tls::Context server(options);
        const tls::Context client(client_options(version));
        for (const std::string& response : kResponses) {
            CAPTURE(response);
            const Reading whole = read_response(client, server, response, {});
            CHECK(!whole.head);
            CHECK(whole.content == Errc::end_of_stream);
            CHECK(whole.count == kContent.size());
            const bool to_the_end = &response == &kResponses[2];
            for (std::size_t cut = 0; cut < whole.bytes; ++cut) {
                CAPTURE(cut);
                const Reading read = read_response(client, server, response, cut);
                if (read.head) {
                    CHECK(read.head == Errc::truncated);
                } else if (to_the_end || read.count < kContent.size()) {
                    // If the length is known, the closing alert after the content may be missing.
                    CHECK(read.content == Errc::truncated);
                }
            }
        }
    }
}

TEST_CASE("a tls stream never reports end_of_stream before close_notify") {
    for (const Version version : kVersions) {
        const tls::Context server(server_options(version));
        const tls::Context client(client_options(version));
        const std::string data = pattern(8192);
        std::size_t total = 1;
        for (std::size_t cut = 0; cut < total; cut += kSanitized ? 7 : 1) {
            CAPTURE(cut);
            TlsEnds ends(client, server);
            ends.joined();
            ends.run_some();
            const std::size_t before = ends.to_client().taken().size();
            ends.to_client().cut_at(before + cut);
            CHECK(ends.write_all(ends.server(), data) == success(data.size()));
            ends.server().close();
            std::string in(data.size() + 1, '\0');
            const Ended ended = ends.read_all(ends.client(), in);
            CHECK(ended.error == Errc::truncated);
            CHECK(data.starts_with(in.substr(0, ended.count)));
            total = ends.to_client().taken().size() - before;
        }
    }
}

}  // namespace uaio::tls_sweep_test
