// The command line of the HTTP clients: http_client_NAME PORT CONNECTIONS. Each prints "ready" when
// it has connected, then for each command on standard input, `closed MILLISECONDS`, the number of
// responses that it has received, as bench/load does.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>

namespace uaio::bench {

// `run` sends requests until a point in time, and returns the number of responses.
inline void serve_commands(
    const std::function<std::uint64_t(std::chrono::steady_clock::time_point)>& run) {
    run(std::chrono::steady_clock::now());  // one request on each connection
    std::printf("ready\n");
    std::fflush(stdout);
    for (std::string word; std::cin >> word;) {
        std::int64_t milliseconds = 0;
        if (word != "closed" || !(std::cin >> milliseconds)) {
            throw std::runtime_error("no such command: " + word);
        }
        const std::uint64_t responses =
            run(std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds));
        std::printf("%llu\n", static_cast<unsigned long long>(responses));
        std::fflush(stdout);
    }
}

}  // namespace uaio::bench
