// What streams are measured against in the ping-pong: loops that send back every message that they
// receive on their connections, by the means of the kernel alone. Both ends of a connection may be
// in the same loop. One thread.
#pragma once

#include "bench/peers/raw_ring.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"

#include <array>
#include <cstddef>
#include <vector>

namespace uaio::bench {

using Message = std::array<char, 64>;

// One end of a connection. Of the two ends one is counted, so that the unit is a round trip.
struct EchoEnd {
    explicit EchoEnd(Descriptor connected, bool is_counted)
        : socket(std::move(connected)), counted(is_counted) {}

    Descriptor socket;
    Message message{};
    bool counted;
    bool drained = false;  // the last receive left nothing behind in the socket
};

using EchoEnds = std::vector<EchoEnd>;

// epoll(7), level-triggered, with recv and send. Ends with `meter`; without one, and then the
// number of messages does not matter, when every connection has ended. Throws std::system_error, or
// std::runtime_error if a message came in pieces.
void echo_by_epoll(EchoEnds& ends, Meter* meter);

// A raw liburing loop: one-shot receives and sends, the next receive submitted with the send.
void echo_by_liburing(EchoEnds& ends, Meter& meter);

}  // namespace uaio::bench
