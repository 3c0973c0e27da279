// Shared parts of the echo servers. Each server is a program for one processor and one thread:
// echo_NAME [BYTES] listens on 127.0.0.1, prints the port that the kernel picked, sends back all
// bytes that it receives, through a buffer of BYTES (1024), and runs until it is killed. They share
// neither their loop nor their sockets' code, which is the library that is measured.
#pragma once

#include "bench/support/descriptors.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace uaio::bench {

inline unsigned number_of(const char* text) {
    unsigned number = 0;
    std::from_chars(text, text + std::strlen(text), number);
    return number;
}

// Returns the size of a connection's buffer from the command line; raises the limit of descriptors.
inline std::size_t prepare(int argc, char** argv) {
    allow_many_descriptors();
    return argc > 1 ? number_of(argv[1]) : 1024;
}

inline void announce(unsigned port) {
    std::printf("%u\n", port);
    std::fflush(stdout);
}

}  // namespace uaio::bench
