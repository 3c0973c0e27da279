// The one interface through which a scenario drives either library: operations and a connection,
// with results by a common name. Members are for the scenario's thread; callbacks run on the
// library's own threads and only touch the Record.
#pragma once

#include <uaio/engine.h>

#include <sys/uio.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace differential {

// The timeout of every step of a scenario. Checks that something does not happen do not wait at
// all, see quiescence.h.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::chrono::seconds kPatience{30};
#else
inline constexpr std::chrono::seconds kPatience{10};
#endif

inline constexpr std::chrono::milliseconds kNoTimeout{-1};

// `message` stands for a driver's HTTP verbs and connects.
enum class Verb { write_all, write, read_all, read, message };

// How an operation ended: ok, or the error by its name in uaio::Errc; an errno by its own.
struct Ending {
    std::string result;
    std::size_t count = 0;
};

// The results that the callbacks of one operation received. Outlives the operation.
class Record {
public:
    // Runs inside the next callback. Set it before the operation is submitted.
    void at_callback(std::function<void()> hook) { hook_ = std::move(hook); }

    void end(Ending ending);  // by the callback
    bool wait(std::size_t callbacks, std::chrono::milliseconds patience) const;
    std::vector<Ending> endings() const;

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable ended_;
    std::vector<Ending> endings_;
    std::function<void()> hook_;
};

// Why an operation is aborted.
enum class Reason { permission, none };

// A received response.
struct Reply {
    int status = 0;
    std::string content;
};

// An nng_aio or a uaio::Aio.
class Operation {
public:
    // Frees it; a busy one in the way of its library.
    virtual ~Operation() = default;

    virtual std::string set_iov(std::span<const iovec> entries) = 0;
    virtual void set_timeout(std::chrono::milliseconds timeout) = 0;
    virtual void cancel() = 0;
    virtual void abort(Reason reason) = 0;
    virtual void stop() = 0;
    virtual void wait() = 0;       // until operation and callback have ended
    virtual Ending getters() = 0;  // the current result and count
};

// One library, with at most one connection at a time.
class Driver {
public:
    virtual ~Driver() = default;

    // To 127.0.0.1; "ok" or the error's name.
    virtual std::string connect(std::uint16_t port) = 0;
    // Without a record the operation has no callback.
    virtual std::unique_ptr<Operation> make(std::shared_ptr<Record> record) = 0;
    virtual void submit(Verb verb, Operation& operation) = 0;
    // An operation that succeeds after `time`.
    virtual void start_timer(Operation& operation, std::chrono::milliseconds time) = 0;
    // Any thread.
    virtual void close() = 0;

    // --- HTTP. Requests are for "/" of the peer; one message at a time. ---

    // Sends a request and reads the response with its content, as the library's client does. No
    // other verb may be used on the connection then.
    virtual void transact(std::string_view method, Operation& operation) = 0;
    // A POST with a Content-Length of `length`, without the content.
    virtual void write_request(std::size_t length, Operation& operation) = 0;
    // The head of a response.
    virtual void read_response(Operation& operation) = 0;
    // The part of the response read so far, if its operation has ended.
    virtual Reply reply() = 0;

    // --- Connecting as the library's client does; the operation's connection is its own ---

    // One client makes all connects of a port.
    virtual void start_connect(std::uint16_t port, Operation& operation) = 0;
    // False unless the operation has ended with a connection; closes that.
    virtual bool take_connection(Operation& operation) = 0;
    // Destroys connect()'s client; the connection stays.
    virtual void free_client() = 0;
};

std::unique_ptr<Driver> make_nng_driver();
// Throws std::system_error where the kernel does not allow `kind`.
std::unique_ptr<Driver> make_uaio_driver(uaio::KernelKind kind);

}  // namespace differential
