// The read side of a tls stream: a FIFO of operations that want bytes. There is one read of the
// stream below at a time, with an Aio and a buffer of this object's own, so that an operation that
// ends early touches nothing, and messages without data (tickets, new keys, a closing alert) are
// seen while nobody reads. Engine's thread only.
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

    // Counts what comes to `ssl` without data.
    void watch(SSL* ssl) noexcept;
    // The handshake is over.
    void open() noexcept { idle_messages_ = 0; }
    // Gives out what there is, and asks for more.
    void serve() noexcept;
    // Asks the stream below for more, unless something is there or on its way.
    void receive() noexcept;
    // Reads what there is and drops it; true if the peer will send no more.
    bool discard() noexcept;
    // Ends the operations.
    void end_all(std::error_code error) noexcept;

    // The stream below has ended.
    bool ended() const noexcept { return static_cast<bool>(end_); }
    // How, for whoever needed more.
    std::error_code end_below() const noexcept;
    bool busy() const noexcept { return reading_ || !queue_.empty() || !waiters_.empty(); }
    // The engine is gone: no Aio may be left.
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
    void end_waiters(std::error_code error) noexcept;
    bool is_wanted() const noexcept;
    void stop_unwanted() noexcept;
    bool fetch() noexcept;
    void take_in(std::size_t count) noexcept;

    Channel& channel_;
    std::optional<Aio> inner_;
    AioQueue queue_;
    AioQueue waiters_;        // for something to read
    std::error_code end_;     // that the stream below ended reading with
    std::error_code result_;  // of every read from now on
    std::size_t room_;        // bytes to ask the stream below for
    unsigned idle_messages_ = 0;
    bool filled_ = false;     // the last read of the stream below found all that it asked for
    bool on_demand_ = false;  // nothing is read below while nobody reads
    bool reading_ = false;    // inner_ is with the stream
};

}  // namespace uaio::tls
