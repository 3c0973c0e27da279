// The works whose instructions bench/instructions.py counts: each with the library, as a floor
// that makes the same transfers with nothing else, and the peer of both. One thread.
#pragma once

#include "bench/instructions/control.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace uaio::bench {

// Connections of the works that keep them, and of a batch of those that do not.
inline constexpr std::uint64_t kConnections = 64;
// Operations of a batch of the works that write on one connection.
inline constexpr std::uint64_t kWrites = 64;
inline constexpr std::uint64_t kPipelined = 16;

using Message = std::array<char, 64>;

// Runs `count` operations, a multiple of the work's batch, with the other process at `control`.
using Run = void (*)(Control& control, std::uint64_t count);

struct Work {
    std::string_view name;
    std::uint64_t batch;
    // Operations of the shorter and of the longer run under callgrind, multiples of the batch: the
    // shorter one warms up, and the difference is measured.
    std::uint64_t shorter;
    std::uint64_t longer;
    Run uaio;   // null in a build that lacks what it needs
    Run floor;  // null where a floor makes no sense
    Run peer;   // null if the measured process needs none
};

// engine_works.cc
void run_nops(Control& control, std::uint64_t count);
void run_nops_floor(Control& control, std::uint64_t count);
void run_posts(Control& control, std::uint64_t count);
void run_timers(Control& control, std::uint64_t count);

// echo_works.cc
void echo_with_callbacks(Control& control, std::uint64_t count);
void echo_with_coroutines(Control& control, std::uint64_t count);
void echo_and_close(Control& control, std::uint64_t count);
void echo_floor(Control& control, std::uint64_t count);
void echo_and_close_floor(Control& control, std::uint64_t count);
void echo_peer(Control& control, std::uint64_t count);
void echo_and_close_peer(Control& control, std::uint64_t count);

// write_works.cc
template <std::size_t kEntries>
void write_all(Control& control, std::uint64_t count);
template <std::size_t kEntries>
void write_all_floor(Control& control, std::uint64_t count);
void write_all_queued(Control& control, std::uint64_t count);
void write_all_queued_floor(Control& control, std::uint64_t count);
void easy_send(Control& control, std::uint64_t count);
void easy_send_floor(Control& control, std::uint64_t count);
void discard_peer(Control& control, std::uint64_t count);

// http_works.cc
void http_fixed(Control& control, std::uint64_t count);
void http_fixed_floor(Control& control, std::uint64_t count);
void http_fixed_peer(Control& control, std::uint64_t count);
void http_pipelined(Control& control, std::uint64_t count);
void http_pipelined_floor(Control& control, std::uint64_t count);
void http_pipelined_peer(Control& control, std::uint64_t count);
void http_file(Control& control, std::uint64_t count);
void http_file_floor(Control& control, std::uint64_t count);
void http_file_peer(Control& control, std::uint64_t count);
void http_close(Control& control, std::uint64_t count);
void http_close_floor(Control& control, std::uint64_t count);
void http_close_peer(Control& control, std::uint64_t count);

// client_work.cc
void http_client(Control& control, std::uint64_t count);
void http_client_floor(Control& control, std::uint64_t count);
void http_client_peer(Control& control, std::uint64_t count);

// tls_works.cc
void tls_echo(Control& control, std::uint64_t count);
void tls_echo_floor(Control& control, std::uint64_t count);
void tls_echo_peer(Control& control, std::uint64_t count);
void tls_handshake(Control& control, std::uint64_t count);
void tls_handshake_floor(Control& control, std::uint64_t count);
void tls_handshake_peer(Control& control, std::uint64_t count);
void tls_resumed_peer(Control& control, std::uint64_t count);

}  // namespace uaio::bench
