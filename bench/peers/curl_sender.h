// curl_easy_send(3) of Debian's libcurl on a connection of CURLOPT_CONNECT_ONLY, called repeatedly
// with the same bytes. The benchmark's thread.
#pragma once

#include "bench/support/meter.h"

#include <cstdint>
#include <span>

namespace uaio::bench {

class CurlSender {
public:
    // Connects to 127.0.0.1. Throws std::runtime_error with libcurl's message.
    explicit CurlSender(std::uint16_t port);
    ~CurlSender();
    CurlSender(const CurlSender&) = delete;
    CurlSender& operator=(const CurlSender&) = delete;

    // Each unit sends all of `bytes`; waits for room with poll(2).
    void run(Meter& meter, std::span<const char> bytes);

private:
    void wait_for_room() const;

    void* curl_;
};

}  // namespace uaio::bench
