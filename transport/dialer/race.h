// Happy eyeballs (RFC 8305 section 5): connects to several addresses, a moment apart, and keeps
// what is there first.
#pragma once

#include <uaio/tcp.h>

#include <chrono>
#include <optional>
#include <vector>

namespace uaio {

struct RaceOptions {
    std::chrono::nanoseconds delay{0};  // before the next address is tried as well
    unsigned at_once = 1;               // attempts that go on at a time; at least one
    tcp::ConnectOptions connect = {};
};

// What the race did; complete at the callback.
struct RaceReport {
    unsigned attempts = 0;
    // Whom it has connected to; after a failure who failed last, or had not answered.
    std::optional<Endpoint> peer = {};
};

// The addresses in the order in which they are tried: IPv6 first, then the families by turns, each
// in its own order (RFC 8305 section 4).
void sort_for_race(std::vector<Endpoint>& addresses) noexcept;

// Connects to the addresses in their order, of which there is one at least, and puts the first
// stream into `out`. After the last failure it ends with that one's error. Completes when all
// attempts have let go of their sockets, after a cancel too. `out` and `report` must live until the
// callback. Errors: those of tcp::connect(). Allocates. Any thread.
void race(std::vector<Endpoint> addresses, const RaceOptions& options, Aio& aio, StreamPtr& out,
          RaceReport& report) noexcept;

}  // namespace uaio
