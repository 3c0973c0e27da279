// The strings that a strict server must refuse or accept, over live sockets: each is sent whole and
// byte by byte, followed by a good request that must never be answered after a refusal. The names
// refer to docs/http_contract.md.
#include "tests/support/server_fixture.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_live_test {

using namespace std::chrono_literals;
using http::Exchange;

const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";
const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kLast = "0\r\n\r\n";

struct Sent {
    const char* name;
    std::string bytes;
    int status;  // of the first response; 200: accepted
};

std::vector<Sent> strings() {
    return {
        {"V1", kGet + "\r\n", 200},
        {"V2", kPost + "Content-Length: 5\r\n\r\nhello", 200},
        {"V3", kChunked + "5\r\nhello\r\n" + kLast, 200},
        {"V4", kGet + "X: \xff\x80ok\r\n\r\n", 200},
        {"V5", "\r\n" + kGet + "\r\n", 200},
        {"V6",
         kPost + "transfer-encoding: CHUNKED\r\n\r\n5;e=\"q;r\"\r\nhello\r\n0\r\nT: v\r\n\r\n",
         200},
        {"F1", kPost + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + kLast + "X",
         400},
        {"F2", kPost + "Content-Length: 1\r\nContent-Length: 0\r\n\r\nX", 400},
        {"F3", kPost + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
        {"F4", kPost + "Content-Length: 5, 5\r\n\r\nhello", 400},
        {"F5", kPost + "Content-Length: +5\r\n\r\nhello", 400},
        {"F6", kPost + "Content-Length: 0x5\r\n\r\nhello", 400},
        {"F7", kPost + "Content-Length: \r\n\r\nhello", 400},
        {"F8", kPost + "Content-Length: 5 5\r\n\r\nhello", 400},
        {"F9", kPost + "Content-Length: 18446744073709551621\r\n\r\nhello", 400},
        {"F9 below", kPost + "Content-Length: 9223372036854775807\r\n\r\nhello", 413},
        {"F10", kPost + "Content-Length: -1\r\n\r\n", 400},
        {"F11", kPost + "Content-Length : 5\r\n\r\nhello", 400},
        {"F12", kPost + "Transfer-Encoding: chunked, identity\r\n\r\n" + kLast, 400},
        {"F13", kPost + "Transfer-Encoding: xchunked\r\n\r\n" + kLast, 501},
        {"F13 gzip", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n" + kLast, 501},
        {"F14", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + kLast,
         400},
        {"F16", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + kLast, 400},
        {"K1", kChunked + "0x5\r\nhello\r\n" + kLast, 400},
        {"K2", kChunked + "+5\r\nhello\r\n" + kLast, 400},
        {"K3", kChunked + "5_\r\nhello\r\n" + kLast, 400},
        {"K4", kChunked + "\r\nhello\r\n" + kLast, 400},
        {"K5", kChunked + "10000000000000005\r\nhello\r\n" + kLast, 400},
        {"K6", kChunked + "5\nhello\r\n" + kLast, 400},
        {"K7", kChunked + "5\r\nhelloXX" + kLast, 400},
        {"K8", kChunked + "5;a\nhello\r\n" + kLast, 400},
        {"K14", kChunked + "5;" + std::string(3000, 'x') + "\r\nhello\r\n" + kLast, 400},
        {"H1", kGet + "X: a\r\n b\r\n\r\n", 400},
        {"H2", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
        {"H3", "GET / HTTP/1.1\nHost: a\n\n", 400},
        {"H4", kGet + "X: y\n\r\n", 400},
        {"H6", kGet + std::string("X: a\0b\r\n\r\n", 10), 400},
        {"H7", kGet + "X: a\001b\r\n\r\n", 400},
        {"H15", kGet + "X: a\177b\r\n\r\n", 400},
        {"H16", kPost + "X-Abc: \rxTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n" + kLast, 400},
        {"H11", kGet + "X(y): b\r\n\r\n", 400},
        {"H12", kGet + "\xefoo: b\r\n\r\n", 400},
        {"L1", "GET / HTTP/1.1\r\n\r\n", 400},
        {"L2", kGet + "Host: b\r\n\r\n", 400},
        {"L3", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"L4", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
        {"L5", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"L6", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"L7", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"L11", "GET /\r\n\r\n", 400},
        {"L16", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"L16 connect", "GET h:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"X1 line", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        {"X1 field", kGet + "X: " + std::string(9000, 'a') + "\r\n\r\n", 431},
        {"X4", kGet + "Expect: miracles\r\n\r\n", 417},
    };
}

// The server's answer to the bytes and the marker after them, sent in such pieces.
std::string exchange_with(ServerFixture& fixture, const std::string& bytes, std::size_t piece) {
    RawPeer peer = fixture.connect();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        if (peer.end() != RawPeer::End::open) break;
        if (piece == 1) fixture.engine().run_once(0ns);
        peer.send_some(std::string_view(bytes).substr(at, piece));
    }
    return fixture.receive_to_end(peer);
}

TEST_CASE("malformed requests are refused over a socket, and no request behind them is answered") {
    ServerFixture fixture(KernelKind::automatic);
    fixture.server().handle("", "/", [](Exchange& exchange) { exchange.respond("good"); });
    fixture.server().handle("", "/marker", [](Exchange& exchange) { exchange.respond("marker"); });
    fixture.listen();
    const std::string marker = "GET /marker HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (const Sent& sent : strings()) {
        for (const std::size_t piece : {std::size_t{1 << 20}, std::size_t{1}}) {
            if (piece == 1 && sent.bytes.size() > 1000) continue;
            const std::string seen = exchange_with(fixture, sent.bytes + marker, piece);
            CHECK_MESSAGE(seen.substr(9, 3) == std::to_string(sent.status), sent.name, ": ", seen);
            const bool answered = seen.ends_with("marker");
            CHECK_MESSAGE(answered == (sent.status == 200), sent.name, ": ", seen);
        }
    }
}

TEST_CASE(
    "content of any method is consumed, and bytes after Connection: close are not parsed (F18, "
    "X3)") {
    ServerFixture fixture(KernelKind::automatic);
    int calls = 0;
    fixture.server().handle("", "/", [&](Exchange& exchange) {
        ++calls;
        exchange.respond("good");
    });
    fixture.listen();
    fixture.ask("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + kGet +
                "Connection: close\r\n\r\n" + kGet + "\r\n");
    CHECK(calls == 2);
}

}  // namespace uaio::http_live_test
