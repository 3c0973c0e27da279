// The engine's side of an http::Connection: what is read, what is written, and what the one has to
// know of the other. It is made by the first verb that needs it, and stays when its Connection goes
// until the stream below has given back what it was asked for. Members are for the engine's thread
// unless they say otherwise.
#pragma once

#include <uaio/http_connection.h>
#include <uaio/stream.h>

#include "transport/http/message_sink.h"
#include "transport/http/message_source.h"
#include "transport/stream/engine_object.h"

#include <atomic>

namespace uaio::http {

class Session final : public EngineObject {
public:
    // On any thread. The stream belongs to the Connection, until that goes.
    Session(EngineCore& core, Stream& stream, const ConnectionOptions& options) noexcept;

    // Any thread. No operation begins from now on; the stream stays open.
    void close() noexcept { closed_.store(true, std::memory_order_relaxed); }
    // Any thread, once, by the Connection that goes: closes the stream, and frees both when nothing
    // is left.
    void release(StreamPtr stream) noexcept;

    MessageSource& source() noexcept { return source_; }
    MessageSink& sink() noexcept { return sink_; }
    const Limits& limits() const noexcept { return options_.limits; }
    // How responses are read.
    Strictness strictness() const noexcept {
        return options_.lenient ? Strictness::lenient : Strictness::strict;
    }
    bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

    // Where a request goes to whose read named none: so it needs no memory before it is there.
    using Provide = Request* (*)(void* context) noexcept;
    void set_provider(Provide provide, void* context) noexcept {
        provide_ = provide;
        provide_context_ = context;
    }
    // Null without memory.
    Request* message_for_head() noexcept { return provide_(provide_context_); }

    // What reading tells. False without memory.
    bool took_request(const RequestHead& head) noexcept;
    void took_trailer(const FieldViews& fields) noexcept;
    void content_wanted() noexcept { sink_.send_100_continue(); }
    void forget_trailer() noexcept { trailer_.clear(); }
    // When a head has to be there that begins to come now.
    std::int64_t head_deadline_ns() noexcept;
    std::chrono::nanoseconds send_timeout() const noexcept { return send_timeout_; }
    // Limits an operation that has begun to write so many bytes: ConnectionOptions::send_timeout.
    void limit_sending(Aio& aio, std::size_t bytes) noexcept;

    // What a server asks for: a head that begins replaces the deadline of the read that waits for
    // it, which is that of idleness, and reads of content without a deadline get this one.
    void set_server(std::chrono::nanoseconds content_timeout) noexcept {
        is_server_ = true;
        content_timeout_ = content_timeout;
    }
    // The connection is no server's any more.
    void set_no_server() noexcept {
        is_server_ = false;
        content_timeout_ = send_timeout_ = kNoTimeout;
    }
    bool is_server() const noexcept { return is_server_; }
    // Limits an operation that waits for content.
    void limit_content(Aio& aio) noexcept;

    // Of the request that was read last.
    bool unknown_expectation() const noexcept { return unknown_expectation_; }
    const Headers& trailer() const noexcept { return trailer_; }

    void begin_shutdown() noexcept override {}  // the stream below ends what is pending

private:
    ~Session() override = default;
    void close_here() noexcept override;
    bool finished() const noexcept override { return true; }
    bool busy() const noexcept override { return source_.busy() || sink_.busy(); }
    void on_engine_destroyed(bool idle) noexcept override;

    const ConnectionOptions options_;
    MessageSource source_;
    MessageSink sink_;
    StreamPtr stream_;  // once the Connection is gone
    Headers trailer_;
    Provide provide_ = nullptr;
    void* provide_context_ = nullptr;
    std::chrono::nanoseconds send_timeout_;
    std::chrono::nanoseconds content_timeout_ = kNoTimeout;
    bool unknown_expectation_ = false;
    bool is_server_ = false;
    std::atomic<bool> closed_{false};
};

}  // namespace uaio::http
