// The engine's side of an http::Connection: its read side, its write side, and the state that they
// share. The first verb that needs a session creates it. It outlives its Connection until the
// stream below has completed all operations. Members are for the engine's thread unless they say
// otherwise.
#pragma once

#include <uaio/http_connection.h>
#include <uaio/stream.h>

#include "base/check.h"
#include "transport/http/message_sink.h"
#include "transport/http/message_source.h"
#include "transport/stream/engine_object.h"

#include <atomic>

namespace uaio::http {

class Session final : public EngineObject {
public:
    // Any thread. The Connection owns the stream until release().
    Session(EngineCore& core, Stream& stream, const ConnectionOptions& options) noexcept;

    // Any thread. No operation begins from now on; the stream stays open.
    void close() noexcept { closed_.store(true, std::memory_order_relaxed); }
    // Any thread, once, when the Connection is destroyed: closes the stream, and frees stream and
    // session when no operation is left.
    void release(StreamPtr stream) noexcept;

    // For a server, whose shard lends sessions to its connections.
    // The connection may do without its session: nothing of a message is left in it.
    bool is_between_messages() const noexcept {
        return !closed() && source_.is_between_messages() && sink_.is_between_messages();
    }
    // Forgets its connection. REQUIRES: no operation of the session is left.
    void detach() noexcept;
    // Serves the connection of `stream`. REQUIRES: it serves none.
    void attach(Stream& stream) noexcept {
        source_.attach(&stream);
        sink_.attach(&stream);
    }

    MessageSource& source() noexcept { return source_; }
    MessageSink& sink() noexcept { return sink_; }
    const Limits& limits() const noexcept { return options_.limits; }
    // The strictness for responses.
    Strictness strictness() const noexcept {
        return options_.lenient ? Strictness::lenient : Strictness::strict;
    }
    bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

    // Provides the message for a read that named none, so that waiting for a head needs no memory.
    // The head's views are valid during the call.
    using Provide = Request* (*)(void* context, const RequestHead& head) noexcept;
    // Called with the outcome of a head that MessageSource::await_head() awaited. May destroy the
    // Connection.
    using Arrived = void (*)(void* context, std::error_code error) noexcept;
    // `provide` may be null for a client.
    void set_reader(Provide provide, Arrived on_head, void* context) noexcept {
        provide_ = provide;
        arrived_ = on_head;
        reader_ = context;
    }
    // Null if out of memory.
    Request* message_for(const RequestHead& head) noexcept {
        DCHECK(provide_ != nullptr && core().on_thread());
        return provide_(reader_, head);
    }
    void head_arrived(std::error_code error) noexcept {
        DCHECK(arrived_ != nullptr && core().on_thread());
        arrived_(reader_, error);
    }

    // Events of the read side. False if out of memory.
    bool took_request(const RequestHead& head) noexcept;
    void took_trailer(const FieldViews& fields) noexcept;
    void forget_trailer() noexcept {
        if (!trailer_.empty()) [[unlikely]]
            drop_trailer();
    }
    // The deadline of a head whose first byte arrives now.
    std::int64_t head_deadline_ns() noexcept;
    std::chrono::nanoseconds send_timeout() const noexcept { return send_timeout_; }
    // Limits the time of an operation that begins to write `bytes` bytes:
    // ConnectionOptions::send_timeout.
    void limit_sending(Aio& aio, std::size_t bytes) noexcept;

    // Server mode: a read without a deadline gets `idle_timeout` when it waits for a head, and
    // `content_timeout` when it reads content. When a head begins, its deadline replaces that of
    // the read that waits for it.
    void set_server(std::chrono::nanoseconds idle_timeout,
                    std::chrono::nanoseconds content_timeout) noexcept {
        is_server_ = true;
        idle_timeout_ = idle_timeout;
        content_timeout_ = content_timeout;
    }
    // Ends server mode.
    void set_no_server() noexcept {
        is_server_ = false;
        idle_timeout_ = content_timeout_ = send_timeout_ = kNoTimeout;
    }
    bool is_server() const noexcept { return is_server_; }
    // Limits the time of an operation that waits for the first byte of a head.
    void limit_idle(Aio& aio) noexcept;
    // Limits the time of an operation that waits for content.
    void limit_content(Aio& aio) noexcept;

    // State of the last request read.
    bool unknown_expectation() const noexcept { return unknown_expectation_; }
    const Headers& trailer() const noexcept { return trailer_; }

    void begin_shutdown() noexcept override {}  // the stream below ends pending operations

private:
    ~Session() override = default;
    void drop_trailer() noexcept;
    void limit(Aio& aio, std::chrono::nanoseconds timeout) noexcept;
    void close_here() noexcept override;
    bool finished() const noexcept override { return true; }
    bool busy() const noexcept override { return source_.busy() || sink_.busy(); }
    void on_engine_destroyed(bool idle) noexcept override;

    const ConnectionOptions options_;
    MessageSource source_;
    MessageSink sink_;
    StreamPtr stream_;  // after the Connection is destroyed
    Headers trailer_;
    Provide provide_ = nullptr;
    Arrived arrived_ = nullptr;
    void* reader_ = nullptr;
    std::chrono::nanoseconds send_timeout_;
    std::chrono::nanoseconds idle_timeout_ = kNoTimeout;
    std::chrono::nanoseconds content_timeout_ = kNoTimeout;
    bool unknown_expectation_ = false;
    bool is_server_ = false;
    std::atomic<bool> closed_{false};
};

}  // namespace uaio::http
