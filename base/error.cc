#include <uaio/error.h>

#include "base/error_table.h"
#include "base/error_text.h"

#include <cerrno>
#include <cstring>

namespace uaio {
namespace {

constexpr ErrorMeaning kErrorMeanings[] = {
    {Errc::canceled, "canceled",
     "The operation was cancelled before it was complete; count() returns the bytes transferred.",
     ECANCELED},
    {Errc::closed, "closed",
     "The connection was closed by close(), or by an earlier write that failed half-way; open a "
     "new one."},
    {Errc::timed_out, "timed out",
     "The deadline passed before the operation was complete; count() returns the bytes "
     "transferred. Increase the timeout, or find out why the peer is slow.",
     ETIMEDOUT},
    {Errc::end_of_stream, "end of stream",
     "The peer has sent everything and closed its sending side; there is nothing more to read."},
    {Errc::truncated, "truncated",
     "The stream ended inside a message: the peer or the network failed."},
    {Errc::not_connected, "not connected",
     "There is no connection; connect first and wait for its completion.", ENOTCONN},
    {Errc::connection_reset, "connection reset",
     "The peer closed or reset the connection while data was on its way; open a new one.",
     ECONNRESET},
    {Errc::invalid_argument, "invalid argument",
     "The buffers cannot be transferred: none were set by Aio::set_iov(), there are more than 1024 "
     "of them or more than SSIZE_MAX bytes, or one has a length but no address.",
     EINVAL},
    {Errc::not_enough_memory, "not enough memory",
     "An allocation failed; free memory, or raise the limit (ulimit -v, RLIMIT_MEMLOCK).", ENOMEM},
    {Errc::not_supported, "not supported",
     "This build of the library or this kernel does not support the operation; see the build "
     "options and Engine::kernel_reason().",
     EOPNOTSUPP},
    {Errc::no_buffer_space, "no buffer space",
     "A limit on queued operations is reached; wait for some to complete, or raise the limit.",
     ENOBUFS},
    {Errc::operation_would_block, "operation would block",
     "Nothing could be transferred without waiting; wait for the connection and try again.",
     EWOULDBLOCK},
    {Errc::resource_deadlock_would_occur, "resource deadlock would occur",
     "The wait would never end, because it blocks the thread that runs the engine; in a callback "
     "or task, submit with a callback instead.",
     EDEADLK},
    {Errc::proxy_refused, "proxy refused",
     "The proxy refused the connection; check its address, its access rules and the credentials."},
    {Errc::engine_lost, "engine lost",
     "No thread runs the engine: its thread has ended, or this process is a forked child; create a "
     "new engine."},
};

// The remedy for an errno that users meet often.
const char* advice_for(int error) noexcept {
    switch (error) {
        case ECONNREFUSED:
            return "No server listens on that address; check the host, the port and the server.";
        case EADDRINUSE:
            return "Another program uses that address, or the path of the unix socket is a file "
                   "that is not a socket; stop the program, use port 0, or remove the file.";
        case EADDRNOTAVAIL: return "That address does not belong to this machine.";
        case EACCES:
        case EPERM: return "Not permitted: check privileges, file modes, and seccomp or LSM rules.";
        case EMFILE: return "This process has too many open descriptors; raise ulimit -n.";
        case ENFILE: return "The system has too many open files; raise fs.file-max.";
        case ENETUNREACH:
        case EHOSTUNREACH: return "There is no route to that address; check network and firewall.";
        case ENOENT:
            return "The file or socket path does not exist; check the path, and that the server "
                   "runs.";
        case ENAMETOOLONG: return "A unix socket path has at most 107 bytes.";
        case EFAULT: return "An entry of the iovec list points to memory that cannot be accessed.";
        default: return nullptr;
    }
}

}  // namespace

const std::error_category& error_category() noexcept {
    static const StaticCategory category("uaio", kErrorMeanings);
    return category.get();
}

std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

std::error_code error_from_result(int result) noexcept {
    if (result >= 0) return {};
    switch (-result) {
        case ECANCELED: return Errc::canceled;
        case ECONNRESET:
        case EPIPE: return Errc::connection_reset;  // which of the two depends on timing alone
        case ENOMEM: return Errc::not_enough_memory;
        default: return {-result, std::system_category()};
    }
}

std::string with_advice(std::string what, std::error_code error) {
    std::string advice;
    if (error.category() == std::system_category()) {
        if (const char* const known = advice_for(error.value())) advice = known;
    } else {
        advice = strerror(error);
    }
    if (!advice.empty()) what.append(": ").append(advice, 0, advice.size() - 1);
    return what;
}

std::string strerror(std::error_code error) {
    if (!error) return "Success.";
    if (const auto* category = dynamic_cast<const TableCategory*>(&error.category())) {
        if (const char* sentence = category->sentence(error.value())) return sentence;
    }
    std::string text = error.message() + " (" + error.category().name() + " " +
                       std::to_string(error.value()) + ").";
    const bool is_errno =
        error.category() == std::system_category() || error.category() == std::generic_category();
    if (const char* advice = is_errno ? advice_for(error.value()) : nullptr) {
        text += ' ';
        text += advice;
    }
    return text;
}

}  // namespace uaio
