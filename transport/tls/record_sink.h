// The write side of a tls stream: serves the writes in order, a batch at a time, and tracks what
// the stream below was given and took. RecordEncryptor makes the records of a batch, in a buffer
// that the stream below writes; with KernelTls the stream below gets the bytes unencrypted
// (record_sink_plain.cc). Engine's thread only.
#pragma once

#include <uaio/provider.h>

#include "engine/core.h"
#include "transport/stream/try_io.h"
#include "transport/tls/batch_queue.h"
#include "transport/tls/byte_buffer.h"
#include "transport/tls/kernel_tls.h"
#include "transport/tls/record_encryptor.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

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

    RecordEncryptor& encryptor() noexcept { return encryptor_; }
    const KernelTls& kernel() const noexcept { return kernel_; }
    // Sends OpenSSL's output once no other write is pending.
    void flush() noexcept;
    // Answers a KeyUpdate that requests one.
    void answer_key_update() noexcept;
    // Ends the operations: queued ones at once, those in the batch when the stream below returns
    // it.
    void end_all(std::error_code error) noexcept;

    // Called with the plaintext of a message that OpenSSL itself writes.
    void on_own_message(int type, std::span<const std::byte> bytes) noexcept;

    // True while a write is pending or may follow at once; Channel::on_sent() reports the end.
    bool writing() const noexcept { return state_ != State::idle; }
    // The stream below accepts no more writes.
    bool broken() const noexcept { return static_cast<bool>(error_); }
    bool busy() const noexcept {
        return writing() || !writes_.empty() || !waiters_.empty() || reminder_.posted;
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
    struct Reminder : MailboxEntry {  // sends the kept bytes in the engine's next turn
        explicit Reminder(RecordSink& owner) noexcept : sink(owner) {}
        RecordSink& sink;
        bool posted = false;
    };

    static RecordSink& of(Aio& aio) noexcept;
    static void start(Aio& aio, bool all) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    static void on_wait_cancel(Aio& aio) noexcept;
    bool is_down() const noexcept { return state_ == State::sending || state_ == State::waiting; }
    bool is_idle() const noexcept { return !is_down() && writes_.empty() && sending_.empty(); }
    bool invariants_hold() const noexcept;
    bool push_kept() noexcept;
    void remind() noexcept;
    void send_kept() noexcept;

    void serve() noexcept;
    bool encrypt(Aio& front) noexcept;
    void send() noexcept;
    void on_back() noexcept;
    void on_written() noexcept;
    void end_batch(std::error_code error, std::size_t data) noexcept;
    void go_on(Aio& front) noexcept;
    void pause() noexcept;
    void rest() noexcept;

    // With kernel TLS.
    void send_plain(Aio& front) noexcept;
    void on_plain_written() noexcept;
    Transferred try_write_plain(std::span<const std::byte> bytes) noexcept;
    bool wait_for_room() noexcept;

    Channel& channel_;
    RecordEncryptor encryptor_{channel_};
    KernelTls kernel_{channel_, encryptor_};
    std::optional<Aio> inner_;
    BatchQueue writes_;
    AioQueue waiters_;            // wait for an empty queue
    ByteBuffer sending_;          // what inner_ writes, or bytes kept while it does not
    RecordEncryptor::Plan plan_;  // of the records in sending_, if there is a batch
    Reminder reminder_{*this};
    std::error_code error_;  // of the stream below, for later writes
    State state_ = State::idle;
};

}  // namespace uaio::tls
