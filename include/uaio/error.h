// The errors of uaio. Operations end with a std::error_code: an Errc below for what the library
// itself decides, or an errno of the system category, untouched. Errors are values after
// construction; only constructors throw (std::system_error). Everything here may be called from any
// thread.
#pragma once

#include <string>
#include <system_error>

namespace uaio {

// What errno does not say, or says in several ways. Each compares equal to the std::errc beside it,
// so `aio.result() == std::errc::timed_out` works as well as `== uaio::Errc::timed_out`.
enum class Errc {
    canceled = 1,           // cancel(), stop(): std::errc::operation_canceled
    closed,                 // this side closed the connection, or an earlier error did
    timed_out,              // the deadline of the operation passed: std::errc::timed_out
    end_of_stream,          // the peer sent all it will send; reading is over, writing may go on
    truncated,              // the stream ended inside a message or without its closing alert
    not_connected,          // std::errc::not_connected
    connection_reset,       // the peer closed or reset, ECONNRESET or EPIPE: connection_reset
    invalid_argument,       // no vector, a null entry, another engine's Aio: invalid_argument
    not_enough_memory,      // std::errc::not_enough_memory
    not_supported,          // not in this build or not on this kernel: std::errc::not_supported
    no_buffer_space,        // a limit on queued operations is reached: std::errc::no_buffer_space
    operation_would_block,  // the std::errc of that name
    resource_deadlock_would_occur,  // wait() inside a callback: the std::errc of that name
    proxy_refused,                  // the proxy answered, and said no
    engine_lost,  // no thread runs the engine any more: it has ended, or is a parent's (fork(2))
};

// The category of Errc; its name() is "uaio".
const std::error_category& error_category() noexcept;

std::error_code make_error_code(Errc) noexcept;

// What a kernel completion means: `result` is a CQE's `res`, negative for an errno
// (io_uring_enter(2)). ECANCELED is Errc::canceled; ECONNRESET and EPIPE are both
// Errc::connection_reset, as nng's manual and this contract have it; ENOMEM is
// Errc::not_enough_memory. Every other errno is in the system category. 0 and above: no error.
std::error_code error_from_result(int result) noexcept;

// One or two sentences for a person: what happened, the likely cause, what to do. Allocates.
std::string strerror(std::error_code);

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::Errc> : std::true_type {};
