// The write side of a tls stream: a FIFO of operations whose bytes are encrypted when their turn
// comes, a batch of records at a time, into a buffer that the stream below writes out. A batch is
// of a part of one operation, or of several whole ones, which may share records; each counts the
// bytes that it has in those that went out. What waits is not encrypted, so it can still leave
// without a trace. Where the kernel encrypts, an operation's bytes go to the stream below as they
// are (record_sink_offload.cc). Engine's thread only.
#pragma once

#include <uaio/provider.h>

#include "engine/core.h"
#include "transport/stream/try_io.h"
#include "transport/tls/byte_buffer.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace uaio::tls {

class Channel;

class RecordSink {
public:
    explicit RecordSink(Channel& channel) noexcept;

    // Starters; the owner is the Channel.
    static void start_write(Aio& aio) noexcept;
    static void start_write_all(Aio& aio) noexcept;
    static void start_wait(Aio& aio) noexcept;

    // See TryIo. What the stream below has no room for is kept.
    Transferred try_write(std::span<const std::byte> bytes) noexcept;
    // As flush(), without the engine as far as that goes.
    void flush_at_once() noexcept;

    // The handshake is over.
    void open() noexcept;
    // Sends what OpenSSL has written, as soon as nothing else is on its way.
    void flush() noexcept;
    // Answers a peer that asked for a new key.
    void answer_key_update() noexcept;
    // Ends the operations: those that wait at once, the one that is being written as soon as the
    // stream below gives it back.
    void end_all(std::error_code error) noexcept;

    // OpenSSL has written a message of its own, before it was encrypted.
    void on_own_message(int type, std::span<const std::byte> bytes) noexcept;
    // The kernel encrypts.
    bool offloaded() const noexcept { return offload_ == Offloading::yes; }
    // Why it does not; empty if it does.
    std::string offload_reason() const;

    // Something is on its way out, or may be about to: the channel's on_sent() tells when not.
    bool writing() const noexcept { return state_ != State::idle; }
    // The stream below takes nothing any more.
    bool broken() const noexcept { return static_cast<bool>(error_); }
    bool busy() const noexcept {
        return writing() || !queue_.empty() || !waiters_.empty() || reminder_.posted;
    }
    // The engine is gone: no Aio may be left.
    void drop_aio() noexcept { inner_.reset(); }

private:
    enum class State : std::uint8_t {
        idle,
        sending,  // inner_ is with the stream
        waiting,  // the same, to tell when there is room
        pausing,  // inner_ comes back behind the callbacks of what it has sent
    };
    enum class Offloading : std::uint8_t { undecided, yes, no };
    enum class Alert : std::uint8_t {  // on its way to where the kernel encrypts it
        none,
        first,   // there has to be room
        ready,   // it can be written
        behind,  // it is written, and what the kernel holds back is waited for
    };
    struct Note {               // in the scratch of a queued Aio
        std::size_t left;       // bytes that are still to be encrypted
        std::size_t share = 0;  // bytes in the batch; those that have some are at the front
        bool all;
    };
    struct Reminder : MailboxEntry {  // that bytes are kept, for the engine's next turn
        explicit Reminder(RecordSink& owner) noexcept : sink(owner) {}
        RecordSink& sink;
        bool posted = false;
    };
    struct Batch {                // what is being written
        std::size_t control = 0;  // bytes before the first record of data
        std::size_t record = 0;   // bytes of data in each record but the last
        std::size_t data = 0;     // bytes of data in all
        bool asked = false;       // one of its operations was asked to end
        bool some = false;        // of write(): the first byte that leaves completes them
    };

    static Note& note_of(Aio& aio) noexcept;
    static RecordSink& of(Aio& aio) noexcept;
    static void start(Aio& aio, bool all) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    static void on_wait_cancel(Aio& aio) noexcept;
    void end_waiters(std::error_code error) noexcept;
    bool is_down() const noexcept { return state_ == State::sending || state_ == State::waiting; }
    bool is_idle() const noexcept { return !is_down() && queue_.empty() && sending_.empty(); }
    bool push_kept() noexcept;
    void remind() noexcept;
    void send_kept() noexcept;
    bool plan(std::size_t left, Batch& batch, std::size_t& limit) noexcept;
    bool write_plain(const void* data, std::size_t size) noexcept;

    void serve() noexcept;
    bool encrypt(Aio& front) noexcept;
    std::size_t waiting() const noexcept;
    std::size_t gather(Aio& front, std::size_t room) noexcept;
    bool write_record(Aio*& aio, std::size_t size) noexcept;
    bool replace_key() noexcept;
    void offload_if_possible() noexcept;
    bool has_key_for(std::size_t bytes) noexcept;
    void send_plain(Aio& front) noexcept;
    void on_plain_written() noexcept;
    Transferred try_write_plain(std::span<const std::byte> bytes) noexcept;
    void flush_alert() noexcept;
    bool wait_for_room() noexcept;
    void fail_without_key() noexcept;
    void cut_off() noexcept;
    void raise(std::byte level, std::byte description) noexcept;
    std::size_t record_size() noexcept;
    void send() noexcept;
    void on_back() noexcept;
    void on_written() noexcept;
    void end_batch(std::error_code error, std::size_t data) noexcept;
    void go_on(Aio& front) noexcept;
    void cut_short(std::error_code error, bool usable) noexcept;
    std::size_t data_in(std::size_t bytes) const noexcept;
    void end(Aio& front, std::error_code error) noexcept;
    void pause() noexcept;
    void rest() noexcept;

    Channel& channel_;
    std::optional<Aio> inner_;
    AioQueue queue_;
    AioQueue waiters_;    // for nothing to be in front of them
    ByteBuffer sending_;  // what inner_ writes; or, while it does not, what is kept
    Reminder reminder_{*this};
    Batch batch_;
    std::error_code error_;             // that the stream below ended writing with
    std::size_t record_max_ = 0;        // bytes of data, as agreed on
    std::size_t small_left_ = 0;        // bytes that leave in small records
    std::int64_t last_ns_ = 0;          // when the last batch began
    std::uint64_t records_of_key_ = 0;  // that the key has encrypted
    std::error_code offload_error_;     // of a kernel that refused
    std::array<std::byte, 2> alert_{};
    Alert alert_step_ = Alert::none;
    Offloading offload_ = Offloading::undecided;
    State state_ = State::idle;
};

}  // namespace uaio::tls
