// Other features of a libcurl handle, combined with CONNECT_ONLY. A Connection has no requests, no
// multi handle, no pool and no reset; its side of a row is the nearest equivalent: a close(), or
// nothing at all.
#include "tests/differential_curl/row.h"

namespace uaio {
namespace {

constexpr const char* kFetch = "only connect() connects; no socket is left that could be used";
constexpr const char* kReset =
    "a closed connection is not connected; a reset of libcurl keeps a socket";

// An ordinary GET by libcurl, which then keeps the connection; null for uaio.
std::unique_ptr<SocketLine> fetch(Scene& at) {
    CURL* const curl = at.driver.curl();
    if (!curl) return nullptr;
    curl_easy_setopt(curl, CURLOPT_URL, at.url().c_str());
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    return meanwhile(
        [&at] {
            std::unique_ptr<SocketLine> line = at.accept_line();
            line->read_until("\r\n\r\n");
            line->send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            return line;
        },
        [curl] { curl_easy_perform(curl); });
}

// Connects in a multi handle of libcurl; in the ordinary way with uaio.
void connect_in(CURLM* multi, Scene& at) {
    CURL* const curl = at.driver.curl();
    if (!curl) return at.connect();
    curl_easy_setopt(curl, CURLOPT_URL, at.url().c_str());
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_multi_add_handle(multi, curl);
    int running = 1;
    for (int round = 0; round < 1000 && running > 0; ++round) {
        curl_multi_perform(multi, &running);
        if (running > 0) curl_multi_poll(multi, nullptr, 0, 100, nullptr);
    }
    int left = 0;
    const CURLMsg* const message = curl_multi_info_read(multi, &left);
    at.note(message ? std::to_string(message->data.result) : "the peer was not connected in time");
}

std::unique_ptr<Driver> another(const Scene& at) {
    return at.driver.curl() ? make_curl_driver() : make_uaio_driver();
}

}  // namespace

Rows handle_rows() {
    return {
        {"6 after a GET without CONNECT_ONLY",
         [](Scene& at) {
             const std::unique_ptr<SocketLine> kept = fetch(at);
             at.send(5);
             at.receive(5);
         },
         {"1,0", "1,0"},
         {"1,0", "1,0"},
         ""},
        {"7 after a GET, with CONNECT_ONLY set after it",
         [](Scene& at) {
             const std::unique_ptr<SocketLine> kept = fetch(at);
             if (CURL* const curl = at.driver.curl()) {
                 curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
             }
             at.send(5);
         },
         {"0,5"},
         {"1,0"},
         kFetch},
        {"9 in a multi handle, and removed from it; closed",
         [](Scene& at) {
             CURLM* const multi = curl_multi_init();
             connect_in(multi, at);
             const std::unique_ptr<SocketLine> peer = at.accept_line();
             at.send(5);
             at.receive(5);
             if (CURL* const curl = at.driver.curl()) curl_multi_remove_handle(multi, curl);
             if (easy::Connection* const ours = at.driver.connection()) ours->close();
             at.send(5);
             at.socket();
             at.note("the peer received " + std::to_string(peer->read_to_end().size()));
             curl_multi_cleanup(multi);
         },
         {"0", "0,5", "81,0", "1,0", "BAD", "the peer received 5"},
         {"0", "0,5", "81,0", "1,0", "BAD", "the peer received 5"},
         ""},
        {"10 reset, with CONNECT_ONLY set again; closed",
         [](Scene& at) {
             at.connect();
             RawPeer peer = at.accept();
             if (CURL* const curl = at.driver.curl()) {
                 curl_easy_reset(curl);
                 curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
             }
             if (easy::Connection* const ours = at.driver.connection()) ours->close();
             at.send(5);
             at.connect();
             RawPeer next = at.accept();
             at.send(5);
         },
         {"0", "0,5", "0", "0,5"},
         {"0", "1,0", "0", "0,5"},
         kReset},
    };
}

Rows pool_rows() {
    return {
        {"12 connected twice, with one connection in libcurl's pool",
         [](Scene& at) {
             at.setup.most_connections = 1;
             at.connect();
             const std::unique_ptr<SocketLine> old = at.accept_line();
             at.send(5);
             at.connect();
             const std::unique_ptr<SocketLine> peer = at.accept_line();
             at.send(7);
             at.note_end(*old);
         },
         {"0", "0,5", "0", "0,7", "open"},
         {"0", "0,5", "0", "0,7", "ended"},
         kClosed},
        {"13 destroyed and created again",
         [](Scene& at) {
             std::unique_ptr<Driver> first = another(at);
             at.note(first->connect(at.url(), at.setup));
             const std::unique_ptr<SocketLine> peer = at.accept_line();
             first.reset();
             at.note(peer->read_to_end().empty() ? "ended" : "not ended");
             const std::unique_ptr<Driver> second = another(at);
             at.note(second->send("12345"));
         },
         {"0", "ended", "1,0"},
         {"0", "ended", "1,0"},
         ""},
    };
}

}  // namespace uaio
