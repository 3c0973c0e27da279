// The engine's side of a tls stream: handshake, reads, writes and close. Owns the stream below, and
// outlives the user's handle until the stream below has returned all operations. Members are for
// the engine's thread unless noted.
#pragma once

#include <uaio/stream.h>
#include <uaio/tls.h>

#include "transport/stream/encrypting.h"
#include "transport/stream/engine_object.h"
#include "transport/stream/try_io.h"
#include "transport/tls/context_core.h"
#include "transport/tls/record_bio.h"
#include "transport/tls/record_sink.h"
#include "transport/tls/record_source.h"

#include <cstdint>
#include <memory>
#include <string>

namespace uaio::tls {

class Channel final : public EngineObject {
public:
    // Any thread. Retains `context`.
    Channel(EngineCore& core, ContextCore& context, StreamPtr below) noexcept;

    // Any thread, before handshake(). Makes this the client's side, or returns why it cannot.
    // Otherwise this is the server's side, which creates its SSL at the peer's first byte, so that
    // a silent peer costs only its receive buffer.
    [[nodiscard]] std::error_code become_client(const ClientOptions& options) noexcept;
    // Any thread, once. Stores a stream in `out`, or releases this Channel.
    void handshake(Aio& aio, StreamPtr& out) noexcept;

    // Any thread.
    int native_handle() const noexcept { return below_->native_handle(); }

    // Null on the server's side before the first byte.
    SSL* ssl() noexcept { return ssl_.get(); }
    Stream& below() noexcept { return *below_; }
    // The TryIo of the stream below; null if it has none.
    TryIo* try_io_below() noexcept { return try_io_; }
    // The Encrypting of the stream below; null if it has none.
    Encrypting* encrypting_below() noexcept { return encrypting_; }
    RecordBuffers& buffers() noexcept { return buffers_; }
    RecordSink& sink() noexcept { return sink_; }
    RecordSource& source() noexcept { return source_; }
    const ContextOptions& options() const noexcept { return context_.options(); }
    bool handshaking() const noexcept { return state_ == State::handshaking; }
    bool open() const noexcept { return state_ == State::open; }
    // The Channel no longer uses the stream below.
    bool closed() const noexcept { return state_ == State::closed; }
    // The error of operations that start while not open().
    [[nodiscard]] std::error_code refusal() const noexcept;

    // Called when bytes were received or the stream below has ended.
    void on_received() noexcept;
    // Called when no write is pending any more.
    void on_sent() noexcept;
    // TLS failed: sends the alert, ends all operations with `error`, and closes.
    void fail(std::error_code error) noexcept;
    // A write stopped after a whole record: ends all operations with Errc::closed, sends an alert,
    // and closes.
    void cut_off() noexcept;
    // A write stopped within a record, so no record can follow: ends all operations with
    // Errc::closed.
    void break_off() noexcept;

    void begin_shutdown() noexcept override { break_off(); }

private:
    enum class State : std::uint8_t {
        handshaking,
        open,
        failed,    // sends an alert
        closing,   // ends a write, or sends close_notify
        draining,  // waits for the peer to close
        closed,
    };
    ~Channel() override;
    void close_here() noexcept override;
    bool finished() const noexcept override { return closed(); }
    static void start_handshake(Aio& aio) noexcept;
    static void on_handshake_cancel(Aio& aio) noexcept;

    bool busy() const noexcept override {
        return source_.busy() || sink_.busy() || timing_ || handshake_ != nullptr;
    }
    void on_engine_destroyed(bool idle) noexcept override;

    bool invariants_hold() const noexcept;
    [[nodiscard]] std::error_code attach() noexcept;
    void go_on() noexcept;
    void complete() noexcept;
    void end_handshake(std::error_code error) noexcept;
    void send_close_notify() noexcept;
    void drain() noexcept;
    bool start_timer() noexcept;
    void close_below() noexcept;

    ContextCore& context_;
    StreamPtr below_;
    TryIo* const try_io_;
    Encrypting* const encrypting_;
    SslPtr ssl_;
    RecordBuffers buffers_;
    RecordSink sink_;
    RecordSource source_;
    std::string place_;  // key of a client's sessions
    std::error_code failure_;
    Aio* handshake_ = nullptr;    // the user's; null after the handshake
    std::unique_ptr<Aio> timer_;  // limits a close
    State state_ = State::handshaking;
    bool timing_ = false;  // timer_ runs
};

}  // namespace uaio::tls
