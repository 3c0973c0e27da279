// The writes of a tls stream, in order, and the batch: the bytes at the front of the queue that are
// passed to the stream below, which has not reported yet how many it took. A batch holds a part of
// one operation, or several whole ones of the same verb, which may share records; each operation
// counts its own bytes. Bytes outside the batch are not encrypted, so their operation can be
// cancelled without a trace. Engine's thread only.
#pragma once

#include <uaio/provider.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace uaio::tls {

class BatchQueue {
public:
    // The front of the queue after settle().
    enum class Settled : std::uint8_t {
        sent,       // no operation of the batch
        continues,  // an operation of which more bytes are to be sent
        cut,        // the first operation that lost bytes; all behind it in the batch lost theirs
    };

    bool empty() const noexcept { return queue_.empty(); }
    Aio* front() const noexcept { return queue_.front(); }
    // Appends an operation of `bytes` bytes; without `all` it ends with the first that are sent.
    void push(Aio& aio, std::size_t bytes, bool all) noexcept;
    // Removes the operation and finishes it.
    void end(Aio& aio, std::error_code error) noexcept;
    // Ends the operations outside the batch.
    void end_waiting(std::error_code error) noexcept;
    // Ends all operations, also those of a batch that is not sent.
    void end_all(std::error_code error) noexcept;

    // Bytes of the operation in no batch yet.
    static std::size_t left(Aio& aio) noexcept { return note_of(aio).left; }
    static bool is_in_batch(Aio& aio) noexcept { return note_of(aio).share > 0; }
    // The same for all operations, counted only up to `most`.
    std::size_t waiting(std::size_t most) const noexcept;
    // True if the first byte that is sent ends the operation.
    static bool takes_some(Aio& aio) noexcept { return !note_of(aio).all; }

    // Bytes of the batch; 0 if there is none.
    std::size_t batch() const noexcept { return batch_; }
    // True if the first byte that is sent ends the batch.
    bool batch_takes_some() const noexcept { return batch_ > 0 && takes_some(*front()); }
    // An operation of the batch was cancelled.
    bool is_canceled() const noexcept { return canceled_; }
    void cancel_batch() noexcept { canceled_ = true; }

    // Makes a batch of at most `room` bytes: the front's, and those of operations behind it that
    // fit whole, since encrypted bytes cannot be withdrawn. Returns its bytes. REQUIRES: no batch,
    // and bytes left at the front.
    std::size_t begin(std::size_t room) noexcept;
    // Moves the cursors over the next `size` bytes of the batch, and returns their address: copied
    // into `gathered`, unless one buffer has them all.
    const void* take(std::size_t size, std::span<std::byte> gathered) noexcept;
    // Ends the batch, of which `sent` bytes were sent: counts them, and finishes the operations
    // that are complete.
    Settled settle(std::size_t sent) noexcept;
    // The same for a batch of the front's that take() did not touch: what was not sent is left
    // again. True if the operation is complete.
    bool settle_untaken(std::size_t sent) noexcept;
    // After Settled::cut: ends the front with `error`, all others that lost bytes with `behind`; a
    // cancelled one with its reason.
    void end_cut(std::error_code error, std::error_code behind) noexcept;

private:
    struct Note {               // in the scratch of a queued Aio
        std::size_t left;       // bytes in no batch yet
        std::size_t share = 0;  // bytes in the batch
        bool all;
    };

    static Note& note_of(Aio& aio) noexcept;
    // The operations with a share are the first, and share the bytes of the batch.
    bool shares_add_up() const noexcept;

    AioQueue queue_;
    std::size_t batch_ = 0;
    Aio* taking_ = nullptr;  // where take() continues
    bool canceled_ = false;
};

}  // namespace uaio::tls
