#include "bench/peers/curl_sender.h"

#if UAIO_BENCH_CURL

#include <curl/curl.h>
#include <poll.h>

#include <stdexcept>
#include <string>

namespace uaio::bench {
namespace {

void check(CURLcode code, const char* call) {
    if (code != CURLE_OK)
        throw std::runtime_error(std::string(call) + ": " + curl_easy_strerror(code));
}

}  // namespace

CurlSender::CurlSender(std::uint16_t port) : curl_(curl_easy_init()) {
    if (!curl_) throw std::runtime_error("curl_easy_init");
    const std::string url = "http://127.0.0.1:" + std::to_string(port);
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl_, CURLOPT_CONNECT_ONLY, 1L);
    check(curl_easy_perform(curl_), "curl_easy_perform");
}

CurlSender::~CurlSender() { curl_easy_cleanup(curl_); }

void CurlSender::run(Meter& meter, std::span<const char> bytes) {
    do {
        for (std::span<const char> rest = bytes; !rest.empty();) {
            std::size_t sent = 0;
            const CURLcode code = curl_easy_send(curl_, rest.data(), rest.size(), &sent);
            if (code == CURLE_AGAIN) {
                wait_for_room();
            } else {
                check(code, "curl_easy_send");
                rest = rest.subspan(sent);
            }
        }
    } while (meter.count());
}

void CurlSender::wait_for_room() const {
    curl_socket_t socket = CURL_SOCKET_BAD;
    check(curl_easy_getinfo(curl_, CURLINFO_ACTIVESOCKET, &socket), "CURLINFO_ACTIVESOCKET");
    pollfd ready{.fd = socket, .events = POLLOUT, .revents = 0};
    poll(&ready, 1, -1);
}

}  // namespace uaio::bench

#endif
