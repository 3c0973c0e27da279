// The writes of one socket: a FIFO whose front has the only send in flight. A send carries the
// front Aio alone, or gathers small ones behind it, each of which gets its exact share of the
// bytes. The front Aio carries the submission entry; its handler distributes the bytes. Engine's
// thread only.
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>

#include "engine/core.h"
#include "transport/socket/send_right.h"
#include "transport/socket/zero_copy.h"
#include "transport/stream/try_io.h"

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct io_uring_sqe;

namespace uaio {

class Socket;

class WriteQueue {
public:
    WriteQueue(Socket& socket, const StreamOptions& options) noexcept;

    // Starts or queues an operation that passed admit(), with `bytes` bytes in its buffers. With
    // `all`, it completes when all are written, otherwise with the first bytes.
    void submit(Aio& aio, bool all, std::size_t bytes) noexcept;

    // Submits an operation in a turn of the engine: the usual one, without a deadline and with
    // nothing else to write, begins here, and any other by Provider::submit().
    void submit_in_turn(Aio& aio, bool all) noexcept;
    // Continues an operation that another thread began and for which it had the right to send: it
    // comes first.
    void submit_rest(Aio& aio, bool all) noexcept;
    // A write that another thread posted has arrived; its submit() follows.
    void posted_arrived() noexcept {
        if (!right_.arrived()) awaits_right_ = true;
        lends_ = true;
    }
    // Lets other threads send, if nothing is queued, since one of them has written before.
    void offer() noexcept;
    // Another thread has returned the right to send.
    void on_right_returned() noexcept;

    // Cancels everything in the queue with Errc::closed.
    void close() noexcept;

    // Sends as much as the socket has room for, if nothing is queued; see TryIo::try_write().
    Transferred try_send(std::span<const std::byte> bytes) noexcept;

    // See Encrypting.
    [[nodiscard]] std::error_code start_encrypting(std::span<const std::byte> info) noexcept;
    Transferred try_send_record(std::uint8_t type, std::span<const std::byte> bytes) noexcept;

    bool in_kernel() const noexcept { return sending_ > 0 || awaits_right_; }
    bool is_idle() const noexcept { return !in_kernel(); }
    // True while an Aio whose bytes are sent waits for a zero-copy notification.
    bool holds_aios() const noexcept { return held_ > 0; }

    // ---- any thread

    SendRight& right() noexcept { return right_; }
    // The most bytes that another thread may send itself: fewer than the kernel may send without a
    // copy, since only the engine can await the notification.
    std::size_t direct_bytes() const noexcept { return direct_bytes_; }

private:
    static Outcome on_completion(Aio& aio, int result, unsigned flags) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    bool invariants_hold() const noexcept;
    bool owns_right() noexcept {
        if (right_.is_engines()) [[likely]]
            return true;
        return take_right();
    }
    bool take_right() noexcept;
    void become_idle() noexcept;
    Transferred transferred(std::int64_t result) noexcept;
    bool start_usual(Aio& aio, bool all) noexcept;
    bool is_usual_end(Aio& aio, int result, unsigned flags) noexcept;
    static Outcome on_other_completion(Aio& aio, int result, unsigned flags) noexcept;
    Outcome on_sent(Aio& carrier, int result, unsigned flags) noexcept;
    Outcome on_sent_otherwise(Aio& carrier, int result) noexcept;
    Outcome settle(Aio& carrier) noexcept;
    Outcome on_notification(Aio& aio, int result) noexcept;
    void end(Aio& aio, Aio& carrier, std::error_code error, Outcome& outcome) noexcept;
    bool retry(int result) noexcept;
    void deal_out(Aio& carrier, std::size_t bytes, Outcome& outcome) noexcept;
    void end_asked(Aio& carrier, int failure, Outcome& outcome) noexcept;

    void start_next() noexcept;
    void send_next() noexcept;
    bool lend(Aio& front) noexcept;
    std::size_t lend_large(Aio& front, std::size_t bytes) noexcept;
    void end_loan(Aio& carrier, int result, unsigned flags) noexcept;
    void send_front(Aio& front) noexcept;
    bool send_gathered(Aio& front) noexcept;
    void send(Aio& front, std::span<iovec> entries, int flags) noexcept;
    void prepare_zero_copy(io_uring_sqe& sqe, std::span<iovec> entries, int flags) noexcept;
    void leave(Aio& aio) noexcept;

    Socket& socket_;
    AioQueue queue_;
    std::size_t queued_ = 0;
    const std::size_t limit_;
    ZeroCopyChoice zero_copy_;
    const std::size_t direct_bytes_;
    unsigned sending_ = 0;  // Aios, from the front, that take part in the send in flight; 0: none
    unsigned held_ = 0;     // Aios out of the queue that wait for a notification
    SendRight right_;
    bool awaits_right_ = false;  // another thread has it, and will return it
    bool lends_ = false;         // another thread has written since the engine took it
    bool is_open_ = true;
    std::size_t lending_ = 0;  // bytes of the send in flight, if it is a zero-copy send
    int arena_ = -1;           // the registered memory that they lie in, or -1
    bool wait_all_;            // MSG_WAITALL may be used
    bool copy_once_ = false;   // the next send copies: no more pages can be locked now
    bool failed_ = false;      // a write failed half-way: the socket must close
    bool reset_ = false;       // it failed by a reset of the peer
    msghdr message_{};
    std::unique_ptr<iovec[]> gathered_;  // allocated by the first gathered send
};

}  // namespace uaio
