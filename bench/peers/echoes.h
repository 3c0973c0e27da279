// The baselines of the ping-pong: loops that echo every message on their connections with plain
// system calls. One loop may run both ends of a connection. One thread.
#pragma once

#include "bench/peers/raw_ring.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"

#include <array>
#include <cstddef>
#include <vector>

namespace uaio::bench {

using Message = std::array<char, 64>;

// One end of a connection. Of each pair one end is counted, so that the unit is a round trip.
struct EchoEnd {
    explicit EchoEnd(Descriptor connected, bool is_counted)
        : socket(std::move(connected)), counted(is_counted) {}

    Descriptor socket;
    Message message{};
    bool counted;
    bool drained = false;  // the last receive emptied the socket
};

using EchoEnds = std::vector<EchoEnd>;

// epoll(7), level-triggered, with recv and send. Runs until `meter` ends; without a meter, until
// every connection has ended. Throws std::system_error, or std::runtime_error if a message came in
// pieces.
void echo_by_epoll(EchoEnds& ends, Meter* meter);

// A raw liburing loop: one-shot receives and sends, the next receive submitted with the send.
void echo_by_liburing(EchoEnds& ends, Meter& meter);

}  // namespace uaio::bench
