// Sends over TLS without room. libcurl accepts a buffer whole or returns 81, and then needs the
// same bytes again, from the same address; a Connection counts the accepted bytes.
#include "tests/differential_curl/tls_scene.h"

#include <sys/socket.h>

namespace uaio {
namespace {

constexpr const char* kCounted =
    "uaio counts each record that is taken, libcurl only its whole buffer";
constexpr const char* kFree = "bytes that were not counted may be replaced; libcurl fails";
constexpr const char* kReady = "a send succeeds after a wait for it; libcurl has only poll(2)";

constexpr std::size_t kMuch = 1'000'000;

std::unique_ptr<TlsLine> connect_with_small_buffers(Scene& at) {
    at.setup.send_buffer = 8192;
    const int size = 16'384;
    ::setsockopt(at.listener.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return connect_tls(at);
}

// Sends until there is no room; returns the number of counted bytes.
std::size_t send_until_full(Scene& at, std::string_view bytes) {
    std::size_t sent = 0;
    std::string last = "0,0";
    while (last.starts_with("0,") && sent < bytes.size()) {
        last = at.driver.send(bytes.substr(sent));
        sent += std::stoul(last.substr(last.find(',') + 1));
    }
    at.note(last);
    at.note(sent == 0 ? "none counted" : sent < bytes.size() ? "some counted" : "all counted");
    return sent;
}

// Sends the rest, and compares the bytes that the peer receives.
void finish(Scene& at, TlsLine& peer, std::string_view bytes, std::size_t sent) {
    at.send_all(bytes, peer.socket_line(), sent);
    if (!at.answers.back().starts_with("0,")) return;  // whose end the peer does not read
    const std::string there = at.read_at(peer, bytes.size());
    at.note(there == bytes ? "all there" : "not the bytes sent");
}

// Repeats a blocked send with other bytes, and continues with the original ones.
void retry(Scene& at, const std::function<std::string_view(std::string_view rest)>& other) {
    const std::unique_ptr<TlsLine> peer = connect_with_small_buffers(at);
    const std::string bytes = pattern(kMuch);
    const std::size_t sent = send_until_full(at, bytes);
    at.note(at.driver.send(other(std::string_view(bytes).substr(sent))));
    finish(at, *peer, bytes, sent);
}

// Whether a send after a wait finds no room after all.
void send_to_slow_reader(Scene& at) {
    const std::unique_ptr<TlsLine> peer = connect_with_small_buffers(at);
    const std::string bytes = pattern(100'000);
    std::size_t sent = 0;
    bool waited = false;
    bool in_vain = false;
    for (int round = 0; round < 10'000 && sent < bytes.size(); ++round) {
        const std::string last = at.driver.send(std::string_view(bytes).substr(sent));
        sent += std::stoul(last.substr(last.find(',') + 1));
        if (last.starts_with("0,")) {
            waited = false;
            continue;
        }
        in_vain = in_vain || waited;
        waited = at.driver.wait_to_send([&] { peer->socket_line().take(1500); });
        if (!waited) break;
    }
    at.note(in_vain ? "a wait did not help" : "every wait helped");
    const std::string there = at.read_at(*peer, sent);
    at.note(there == bytes ? "all there" : "not the bytes sent");
}

}  // namespace

Rows tls_blocked_rows() {
    return {
        {"31 a megabyte, repeated until it is sent",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_with_small_buffers(at);
             const std::string bytes = pattern(kMuch);
             const std::size_t sent = send_until_full(at, bytes);
             at.note(at.driver.send(std::string_view(bytes).substr(sent)));
             finish(at, *peer, bytes, sent);
         },
         {"0", "81,0", "none counted", "81,0", "0, 1000000 in all", "all there"},
         {"0", "81,0", "some counted", "81,0", "0, 1000000 in all", "all there"},
         kCounted},
        {"32 repeated with half the bytes",
         [](Scene& at) {
             retry(at, [](std::string_view rest) { return rest.substr(0, kMuch / 2); });
         },
         {"0", "81,0", "none counted", "81,0", "0, 1000000 in all", "all there"},
         {"0", "81,0", "some counted", "81,0", "0, 1000000 in all", "all there"},
         kCounted},
        {"32 repeated with twenty bytes",
         [](Scene& at) { retry(at, [](std::string_view rest) { return rest.substr(0, 20); }); },
         {"0", "81,0", "none counted", "55,0", "81, 0 in all"},
         {"0", "81,0", "some counted", "81,0", "0, 1000000 in all", "all there"},
         kFree},
        {"33 repeated from another buffer",
         [](Scene& at) {
             std::string copy;
             retry(at, [&copy](std::string_view rest) { return copy = rest; });
         },
         {"0", "81,0", "none counted", "55,0", "81, 0 in all"},
         {"0", "81,0", "some counted", "81,0", "0, 1000000 in all", "all there"},
         kFree},
        {"34 a receive while a send would block",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_with_small_buffers(at);
             const std::string bytes = pattern(kMuch);
             const std::size_t sent = send_until_full(at, bytes);
             at.receive(10);
             peer->send("bytes");
             at.wait();
             at.receive(10);
             finish(at, *peer, bytes, sent);
         },
         {"0", "81,0", "none counted", "81,0", "0,5", "0, 1000000 in all", "all there"},
         {"0", "81,0", "some counted", "81,0", "0,5", "0, 1000000 in all", "all there"},
         kCounted},
        {"35 waits for a slow reader",
         &send_to_slow_reader,
         {"0", "a wait did not help", "all there"},
         {"0", "every wait helped", "all there"},
         kReady},
    };
}

}  // namespace uaio
