// The reads of one socket: a FIFO whose front has the only receive in flight, directly into the
// caller's buffers. Engine's thread only.
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>

#include "engine/core.h"
#include "transport/stream/try_io.h"

#include <sys/socket.h>

#include <cstddef>
#include <span>

namespace uaio {

class Socket;

class ReadQueue {
public:
    ReadQueue(Socket& socket, const StreamOptions& options) noexcept
        : socket_(socket), limit_(options.queue_limit) {}

    // Starts or queues an operation that passed admit(), with room for `bytes` bytes in its
    // buffers. With `all`, it completes when they are full, otherwise with the first bytes.
    void submit(Aio& aio, bool all, std::size_t bytes) noexcept;

    // Submits an operation in a turn of the engine: the usual one, with one buffer and nothing else
    // to read, begins here, and any other by Provider::submit().
    void submit_in_turn(Aio& aio, bool all) noexcept;

    // Cancels everything in the queue with Errc::closed.
    void close() noexcept;

    // Takes received bytes, if nothing is queued; see TryIo::try_read().
    Transferred try_receive(std::span<std::byte> bytes) noexcept;

    bool in_kernel() const noexcept { return receiving_; }
    // The kernel has reported the end of the received bytes, or a failure that excludes more.
    bool has_ended() const noexcept { return static_cast<bool>(end_); }
    bool is_idle() const noexcept { return !receiving_; }
    // The last receive emptied the socket.
    bool is_drained() const noexcept { return drained_; }
    // A receive without an Aio has ended: with bytes, and these `flags`, or with the returned
    // error, which is that of later reads, too, if it is an end.
    [[nodiscard]] std::error_code on_receive(int result, unsigned flags) noexcept;

private:
    static Outcome on_completion(Aio& aio, int result, unsigned flags) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    bool invariants_hold() const noexcept;
    bool start_usual(Aio& aio, bool all) noexcept;
    bool is_usual_end(Aio& aio, int result) noexcept;
    static Outcome on_other_completion(Aio& aio, int result, unsigned flags) noexcept;
    Outcome on_received(Aio& aio, int result, unsigned flags) noexcept;
    bool ends_without_bytes(Aio& aio, int result) noexcept;
    [[nodiscard]] std::error_code error_of(int result) noexcept;
    void start_next() noexcept;
    void receive_next() noexcept;
    void receive(Aio& front) noexcept;
    void leave(Aio& aio) noexcept;

    Socket& socket_;
    AioQueue queue_;
    std::size_t queued_ = 0;
    const std::size_t limit_;
    std::error_code end_;  // of receiving, permanently
    bool is_open_ = true;
    bool receiving_ = false;
    bool drained_ = false;  // the last receive emptied the socket
    msghdr message_{};
};

}  // namespace uaio
