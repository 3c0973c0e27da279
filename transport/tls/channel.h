// The engine's side of a tls stream: the handshake, what is read, what is written, and the end. It
// takes over the stream below, and stays when its user's handle goes until that has given back what
// it was asked for. Members are for the engine's thread unless they say otherwise.
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
    // On any thread. Counts on `context`.
    Channel(EngineCore& core, ContextCore& context, StreamPtr below) noexcept;

    // Any thread, before handshake(), for the client's side. No error, or why it cannot be. Without
    // it this is the server's side, which makes its SSL with the first byte of the peer: one that
    // sends nothing costs no more than the room for that.
    std::error_code become_client(const ClientOptions& options) noexcept;
    // Any thread, once. Puts a stream into `out`, or lets go of this.
    void handshake(Aio& aio, StreamPtr& out) noexcept;

    // Any thread.
    int native_handle() const noexcept { return below_->native_handle(); }

    // Null on the server's side before the first byte.
    SSL* ssl() noexcept { return ssl_.get(); }
    Stream& below() noexcept { return *below_; }
    // What can be asked of it at once; null if nothing.
    TryIo* try_io_below() noexcept { return try_io_; }
    // The same of the kernel's TLS.
    Encrypting* encrypting_below() noexcept { return encrypting_; }
    RecordBuffers& buffers() noexcept { return buffers_; }
    RecordSink& sink() noexcept { return sink_; }
    RecordSource& source() noexcept { return source_; }
    const ContextOptions& options() const noexcept { return context_.options(); }
    bool handshaking() const noexcept { return state_ == State::handshaking; }
    bool open() const noexcept { return state_ == State::open; }
    // Nothing below will be asked any more.
    bool closed() const noexcept { return state_ == State::closed; }
    // What operations end with that come when it is not open.
    std::error_code refusal() const noexcept;

    // Something was received, or the stream below has ended.
    void on_received() noexcept;
    // Nothing is on its way out any more.
    void on_sent() noexcept;
    // TLS itself failed: tells the peer, ends everything with `error`, and closes.
    void fail(std::error_code error) noexcept;
    // A write was cut short behind a whole record: ends everything with Errc::closed, tells the
    // peer, and closes.
    void cut_off() noexcept;
    // A record was cut short, so nothing can follow: ends everything with Errc::closed.
    void break_off() noexcept;

    void begin_shutdown() noexcept override { break_off(); }

private:
    enum class State : std::uint8_t {
        handshaking,
        open,
        failed,    // an alert is on its way
        closing,   // a write is being ended, or the closing alert is on its way
        draining,  // waits for the peer's end
        closed,
    };
    ~Channel() override { context_.release(); }
    void close_here() noexcept override;
    bool finished() const noexcept override { return closed(); }
    static void start_handshake(Aio& aio) noexcept;
    static void on_handshake_cancel(Aio& aio) noexcept;

    bool busy() const noexcept override {
        return source_.busy() || sink_.busy() || timing_ || handshake_ != nullptr;
    }
    void on_engine_destroyed(bool idle) noexcept override;

    std::error_code attach() noexcept;
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
    std::string place_;  // that a client's sessions are of
    std::error_code failure_;
    Aio* handshake_ = nullptr;    // the user's, until it is done
    std::unique_ptr<Aio> timer_;  // of a close
    State state_ = State::handshaking;
    bool timing_ = false;  // timer_ runs
};

}  // namespace uaio::tls
