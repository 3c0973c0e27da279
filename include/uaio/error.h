// The errors of uaio. Operations end with a std::error_code: one of this library's enumerations
// where the library decides, or else an errno of the system category, untouched. Besides Errc there
// are ArgumentErrc, HttpErrc, ResolveErrc, ProxyErrc and TlsErrc, each with its subject. Verbs do
// not throw. Constructors throw std::system_error with one of these codes, or std::invalid_argument
// and std::logic_error where a member says so. Any thread.
#pragma once

#include <string>
#include <system_error>

namespace uaio {

// Results that errno lacks, or has several values for. Codes with a std::errc beside them equal it:
// `aio.result() == std::errc::timed_out` works as `== uaio::Errc::timed_out` does. The former also
// equals an errno of that name, such as the ETIMEDOUT with which TCP gives a connection up
// (tcp(7), tcp_retries2); the latter is only this library's own deadline.
enum class Errc {
    // Aio::cancel(), Aio::stop(), or a verb on a stopped Aio: std::errc::operation_canceled.
    // count() says how far the operation got.
    canceled = 1,
    // This side closed the stream, acceptor or connection, an earlier write failed half-way, or the
    // engine, Resolver, Client or Aio was destroyed. Open a new one.
    closed,
    // The deadline of the operation, or a timeout of the object it runs on, passed:
    // std::errc::timed_out. count() says how far the operation got.
    timed_out,
    // The peer ended its sending side: FIN, or the closing alert of TLS. Writing still works.
    end_of_stream,
    // The stream ended inside an HTTP message, or TLS ended without its closing alert
    // (RFC 8446 6.1): the bytes received may be incomplete.
    truncated,
    // A verb of easy::Connection without a connection: std::errc::not_connected.
    not_connected,
    // The peer reset the connection, or closed it while bytes were sent to it:
    // std::errc::connection_reset. The kernel's ECONNRESET and EPIPE are both this.
    connection_reset,
    // The iovec list of the Aio has no entries, an entry with a length and no address, or more than
    // SSIZE_MAX bytes, or set_iov() got more than 1024 entries: std::errc::invalid_argument, which
    // also equals every ArgumentErrc, the codes of all other arguments. Compare with this code for
    // the list alone, with an ArgumentErrc for one argument, with the std::errc for any of them.
    invalid_argument,
    // The program or the kernel (ENOMEM) is out of memory: std::errc::not_enough_memory.
    not_enough_memory,
    // Not in this build (kTls, kHttp) or not over this stream: std::errc::not_supported.
    not_supported,
    // StreamOptions::queue_limit is reached: std::errc::no_buffer_space.
    no_buffer_space,
    // An attempt of easy::Connection could transfer nothing now, as EAGAIN in send(2):
    // std::errc::operation_would_block.
    operation_would_block,
    // Aio::wait() or Engine::run() inside a callback or task, which would wait for itself:
    // std::errc::resource_deadlock_would_occur.
    resource_deadlock_would_occur,
    // An HTTP proxy answered CONNECT with a status other than 2xx; DialReport::proxy_status has it.
    proxy_refused,
    // No thread runs the engine any more: its thread has ended, or it belongs to the parent of this
    // process (fork(2)). See <uaio/engine.h>.
    engine_lost,
};

// The category of Errc; its name() is "uaio". Never destroyed, so error codes can be compared and
// printed while exit(3) runs.
const std::error_category& error_category() noexcept;

// Lets an Errc convert to std::error_code and compare with one.
[[nodiscard]] std::error_code make_error_code(Errc) noexcept;

// The error of a kernel completion: `result` is a CQE's `res`, negative for an errno
// (io_uring_enter(2)). ECANCELED is Errc::canceled; ECONNRESET and EPIPE are both
// Errc::connection_reset, since timing alone decides between them; ENOMEM is
// Errc::not_enough_memory. Every other errno is in the system category. 0 and above: no error.
[[nodiscard]] std::error_code error_from_result(int result) noexcept;

// One or two English sentences for a person: what happened, the likely cause, the remedy. Knows
// every category of this library and the errno values that programs meet often; for any other code
// it returns message(), the category's name and the number. "Success." for no error. Throws
// std::bad_alloc. Write the namespace: after `using namespace uaio`, strerror(0) and strerror({})
// call that of C (strerror(3)).
std::string strerror(std::error_code);

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::Errc> : std::true_type {};
