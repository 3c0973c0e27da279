// Happy Eyeballs (RFC 8305 section 5): connects to several addresses, with a delay between
// attempts, and keeps the first connection.
#pragma once

#include <uaio/tcp.h>

#include <chrono>
#include <optional>
#include <vector>

namespace uaio {

struct RaceOptions {
    std::chrono::nanoseconds delay{0};  // before the next attempt starts
    unsigned at_once = 1;               // concurrent attempts; at least one
    tcp::ConnectOptions connect = {};
};

// The race's statistics; complete at the callback.
struct RaceReport {
    unsigned attempts = 0;
    // The connected peer; after a failure, the one that failed last or had not answered.
    std::optional<Endpoint> peer = {};
};

// Sorts the addresses for race(): IPv6 first, then alternating families, each in its own order (RFC
// 8305 section 4).
void sort_for_race(std::vector<Endpoint>& addresses) noexcept;

// Connects to the addresses, at least one, in their order, and puts the first stream into `out`. If
// all fail, ends with the last error. Completes when all attempts have released their sockets, also
// after a cancel. `out` and `report` must live until the callback. Errors: those of tcp::connect().
// Allocates. Any thread.
void race(std::vector<Endpoint> addresses, const RaceOptions& options, Aio& aio, StreamPtr& out,
          RaceReport& report) noexcept;

}  // namespace uaio
