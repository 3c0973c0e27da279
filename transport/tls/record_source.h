// The read side of a tls stream: a FIFO of operations. Keeps at most one read of the stream below
// pending, with its own Aio and buffer, so that an operation can end early without effect, and
// messages without data (tickets, KeyUpdate, close_notify) are processed while no read is queued.
// Engine's thread only.
#pragma once

#include <uaio/provider.h>

#include "engine/core.h"
#include "transport/stream/try_io.h"
#include "transport/tls/openssl.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace uaio::tls {

class Channel;

class RecordSource {
public:
    explicit RecordSource(Channel& channel) noexcept;

    // Starters; the owner is the Channel.
    static void start_read(Aio& aio) noexcept;
    static void start_read_all(Aio& aio) noexcept;
    static void start_wait(Aio& aio) noexcept;

    // See TryIo.
    Transferred try_read(std::span<std::byte> bytes) noexcept;
    void read_on_demand() noexcept;

    // Counts the messages without data that `ssl` receives.
    void watch(SSL* ssl) noexcept;
    // The handshake is over.
    void open() noexcept { idle_messages_ = 0; }
    // Completes operations with the received bytes, and receives more.
    void serve() noexcept;
    // Reads from the stream below, unless bytes are buffered or a read is pending.
    void receive() noexcept;
    // Reads and drops the received bytes; true if the peer will send no more.
    bool discard() noexcept;
    // Ends the operations.
    void end_all(std::error_code error) noexcept;

    // The stream below has ended.
    bool ended() const noexcept { return static_cast<bool>(end_); }
    // The error of an operation that needed more bytes.
    [[nodiscard]] std::error_code end_below() const noexcept;
    bool busy() const noexcept { return reading_ || !queue_.empty() || !waiters_.empty(); }
    // The engine is gone, so no Aio may remain.
    void drop_aio() noexcept { inner_.reset(); }

private:
    enum class Step { finished, more_bytes, failed };

    static RecordSource& of(Aio& aio) noexcept;
    static void start(Aio& aio, bool all) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    static void on_message(int sent, int version, int type, const void* bytes, std::size_t size,
                           SSL* ssl, void* source) noexcept;

    Step read_into(Aio& front) noexcept;
    Step look_ahead() noexcept;
    Step stop(int result) noexcept;
    void end(Aio& front, std::error_code error) noexcept;
    void on_read() noexcept;
    static void on_wait_cancel(Aio& aio) noexcept;
    bool is_wanted() const noexcept;
    void stop_unwanted() noexcept;
    bool fetch() noexcept;
    void take_in(std::size_t count) noexcept;

    Channel& channel_;
    std::optional<Aio> inner_;
    AioQueue queue_;
    AioQueue waiters_;        // wait for something to read
    std::error_code end_;     // the end of reading below
    std::error_code result_;  // of every later read
    std::size_t room_;        // size of the next read below
    unsigned idle_messages_ = 0;
    bool filled_ = false;     // the last read below filled its buffer
    bool on_demand_ = false;  // reads below only for an operation
    bool reading_ = false;    // inner_ is pending
};

}  // namespace uaio::tls
