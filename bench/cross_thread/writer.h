// The writers of the group cross_thread: each writes 64 bytes to a connection, on a thread that
// does not run the loop of its library. Each program links one of them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace uaio::bench {

inline constexpr std::size_t kWritten = 64;

class Writer {
public:
    using Clock = std::chrono::steady_clock;

    Writer() = default;
    virtual ~Writer() = default;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    // Begins a write; the program measures how long that takes the caller.
    virtual void write() = 0;
    // Waits until the write has completed, as the library does that.
    virtual void wait() = 0;
    // When the last write completed: its callback reads the clock, on whatever thread it runs.
    // REQUIRES: wait() has returned.
    virtual Clock::time_point completed() const = 0;
};

// Connects to 127.0.0.1 and starts the library's thread, which sleeps between writes. Throws.
std::unique_ptr<Writer> make_writer(std::uint16_t port);

}  // namespace uaio::bench
