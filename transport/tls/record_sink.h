// The write side of a tls stream: a FIFO of operations. Encrypts a batch of records at a time into
// a buffer that the stream below writes. A batch holds a part of one operation, or several whole
// ones, which may share records; each operation counts its own bytes in the records sent. Queued
// bytes are not encrypted, so a queued operation can be cancelled without a trace. With kernel TLS,
// the stream below gets the bytes unencrypted (record_sink_offload.cc). Engine's thread only.
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

    // See TryIo. Keeps what the stream below has no room for.
    Transferred try_write(std::span<const std::byte> bytes) noexcept;
    // Like flush(), but first tries without the engine.
    void flush_at_once() noexcept;

    // The handshake is over.
    void open() noexcept;
    // Sends OpenSSL's output once no other write is pending.
    void flush() noexcept;
    // Answers a KeyUpdate that requests one.
    void answer_key_update() noexcept;
    // Ends the operations: queued ones at once, those in the batch when the stream below returns
    // it.
    void end_all(std::error_code error) noexcept;

    // Called with the plaintext of a message that OpenSSL itself writes.
    void on_own_message(int type, std::span<const std::byte> bytes) noexcept;
    // True if the kernel encrypts.
    bool offloaded() const noexcept { return offload_ == Offloading::yes; }
    // Why the kernel does not encrypt; empty if it does.
    std::string offload_reason() const;

    // True while a write is pending or may follow at once; Channel::on_sent() reports the end.
    bool writing() const noexcept { return state_ != State::idle; }
    // The stream below accepts no more writes.
    bool broken() const noexcept { return static_cast<bool>(error_); }
    bool busy() const noexcept {
        return writing() || !queue_.empty() || !waiters_.empty() || reminder_.posted;
    }
    // The engine is gone, so no Aio may remain.
    void drop_aio() noexcept { inner_.reset(); }

private:
    enum class State : std::uint8_t {
        idle,
        sending,  // inner_ writes
        waiting,  // inner_ waits for room below
        pausing,  // inner_ completes after the callbacks of the batch
    };
    enum class Offloading : std::uint8_t { undecided, yes, no };
    enum class Alert : std::uint8_t {  // an alert for the kernel to encrypt
        none,
        first,   // needs room
        ready,   // can be written
        behind,  // written; waits for what the kernel holds back
    };
    struct Note {               // in the scratch of a queued Aio
        std::size_t left;       // bytes not yet encrypted
        std::size_t share = 0;  // bytes in the batch; set only at the front of the queue
        bool all;
    };
    struct Reminder : MailboxEntry {  // sends the kept bytes in the engine's next turn
        explicit Reminder(RecordSink& owner) noexcept : sink(owner) {}
        RecordSink& sink;
        bool posted = false;
    };
    struct Batch {                // under way
        std::size_t control = 0;  // bytes before the first record of data
        std::size_t record = 0;   // bytes of data in each record but the last
        std::size_t data = 0;     // bytes of data in all
        bool asked = false;       // one of its operations is cancelled
        bool some = false;        // of write(): the first byte sent completes them
    };

    static Note& note_of(Aio& aio) noexcept;
    static RecordSink& of(Aio& aio) noexcept;
    static void start(Aio& aio, bool all) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    static void on_wait_cancel(Aio& aio) noexcept;
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
    AioQueue waiters_;    // wait for an empty queue
    ByteBuffer sending_;  // what inner_ writes, or bytes kept while it does not
    Reminder reminder_{*this};
    Batch batch_;
    std::error_code error_;             // of the stream below, for later writes
    std::size_t record_max_ = 0;        // bytes of data, as negotiated
    std::size_t small_left_ = 0;        // bytes still to send in small records
    std::int64_t last_ns_ = 0;          // when the last batch began
    std::uint64_t records_of_key_ = 0;  // encrypted with the current key
    std::error_code offload_error_;     // why the kernel refused
    std::array<std::byte, 2> alert_{};
    Alert alert_step_ = Alert::none;
    Offloading offload_ = Offloading::undecided;
    State state_ = State::idle;
};

}  // namespace uaio::tls
