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

// No step of a scenario waits longer for what has to happen. What must not happen is not waited for
// at all, see quiescence.h.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::chrono::seconds kPatience{30};
#else
inline constexpr std::chrono::seconds kPatience{10};
#endif

inline constexpr std::chrono::milliseconds kNoTimeout{-1};

// `message` is none of the four: what a driver's HTTP verbs and connects do.
enum class Verb { write_all, write, read_all, read, message };

// How an operation ended: ok, or the error by the name that it has in uaio::Errc; an errno by its
// own.
struct Ending {
    std::string result;
    std::size_t count = 0;
};

// What the callbacks of one operation have seen. Lives on when the operation is gone.
class Record {
public:
    // To run inside the next callback. Set it before the operation is submitted.
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

// A response that was read.
struct Reply {
    int status = 0;
    std::string content;
};

// An nng_aio or a uaio::Aio.
class Operation {
public:
    // Frees it; if it is busy, as its library does that.
    virtual ~Operation() = default;

    virtual std::string set_iov(std::span<const iovec> entries) = 0;
    virtual void set_timeout(std::chrono::milliseconds timeout) = 0;
    virtual void cancel() = 0;
    virtual void abort(Reason reason) = 0;
    virtual void stop() = 0;
    virtual void wait() = 0;       // until operation and callback are over
    virtual Ending getters() = 0;  // what result and count say now
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
    // An operation that ends well after so long.
    virtual void start_timer(Operation& operation, std::chrono::milliseconds time) = 0;
    // Any thread.
    virtual void close() = 0;

    // --- HTTP. Requests are for "/" of the peer; one message at a time. ---

    // Sends a request and reads the response with its content, as the library's client does. No
    // other verb may be used on the connection then.
    virtual void transact(std::string_view method, Operation& operation) = 0;
    // A POST with a Content-Length of so many bytes, and none of them.
    virtual void write_request(std::size_t length, Operation& operation) = 0;
    // The head of a response.
    virtual void read_response(Operation& operation) = 0;
    // What has been read of the response, if its operation has ended.
    virtual Reply reply() = 0;

    // --- Connecting as the library's client does; the operation's connection is its own ---

    // Connects of one port are made by one client.
    virtual void start_connect(std::uint16_t port, Operation& operation) = 0;
    // The operation has ended and has a connection, which this closes.
    virtual bool take_connection(Operation& operation) = 0;
    // What connect() made the connection with goes, the connection stays.
    virtual void free_client() = 0;
};

std::unique_ptr<Driver> make_nng_driver();
// Throws std::system_error where the kernel does not allow `kind`.
std::unique_ptr<Driver> make_uaio_driver(uaio::KernelKind kind);

}  // namespace differential
