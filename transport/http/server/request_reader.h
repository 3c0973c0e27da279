// The requests of one connection of a server: reads their heads, finds their routes, collects their
// content and calls their handlers, one request at a time. After the last one it drops the bytes
// that the client still sends. The shard lends a session once the first byte of a request is there,
// and an Exchange once its head is complete, so a connection that waits for a request holds none,
// if its stream can wait without a buffer. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include "engine/moving_deadline.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/server/router.h"
#include "transport/stream/idle_receive.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

namespace uaio::http {

class RequestReader {
public:
    explicit RequestReader(ServerConnection& connection) noexcept;

    // Begins with the first request.
    void start() noexcept;
    // Takes the heads that `session`, the connection's, awaits.
    void serve_heads_of(Session& session) noexcept;
    // Begins with the next one, unless one is being read or answered, or none may follow.
    void read_next() noexcept;
    // Reads no request after those that have begun.
    void stop() noexcept { last_ = true; }
    // The same, and cancels the wait for a request.
    void drain() noexcept;
    // Decides whether the client may send another request after the response that is written next;
    // otherwise stops.
    bool stay_or_stop() noexcept;
    bool stopped() const noexcept { return last_; }
    // The peer may still send bytes after the last response.
    bool lingers() const noexcept { return lingers_; }
    // Shuts down sending, then reads and drops bytes of the peer until it closes or the time limit
    // is reached. Later bytes reset the connection. REQUIRES: !reading().
    void linger() noexcept;

    // The exchange whose content is being read, or that a handler holds.
    Exchange* current() noexcept { return current_; }
    // It is not the current exchange any more.
    void leave(Exchange& exchange) noexcept {
        if (current_ == &exchange) current_ = nullptr;
    }
    // Called before the engine is destroyed: frees the current exchange.
    void drop_exchange() noexcept;
    // The first byte of a request is awaited, for which no session is needed.
    bool awaits_bytes() const noexcept { return reading_ == Reading::bytes; }
    // Ends that wait, and the connection.
    void stop_awaiting() noexcept;
    // Called before the engine is destroyed.
    void drop_deadline() noexcept { idle_end_.drop(); }
    // A read of the stream is in progress.
    bool reading() const noexcept { return reading_ != Reading::nothing; }
    // The callback of ServerConnection::reads().
    void on_read() noexcept;
    // A member of this object, and perhaps a handler, is on the stack.
    bool serving() const noexcept { return serving_; }

private:
    enum class Reading : std::uint8_t {
        nothing,
        turn,   // a callback that takes the next head
        bytes,  // of the next head, without a session
        head,
        content,
        rest,
    };

    static Request* lend_request(void* self, const RequestHead& head) noexcept;
    bool may_read() const noexcept;
    bool await_bytes() noexcept;
    std::int64_t idle_end_ns() noexcept;
    bool await_head() noexcept;
    void on_bytes(std::error_code error, std::span<char> bytes) noexcept;
    void read_in_callback() noexcept;
    void on_awaited(std::error_code error) noexcept;
    void serve() noexcept;
    void serve_received() noexcept;
    bool content_is_over() noexcept;
    bool mid_head() noexcept;
    bool may_stay() noexcept;
    void on_head(std::error_code error) noexcept;
    void refuse(std::error_code error) noexcept;
    void refuse_content(Exchange& exchange, int status) noexcept;
    void find_route(const RequestHead& head) noexcept;
    void route(Exchange& exchange) noexcept;
    void refuse_target(Exchange& exchange) noexcept;
    void refuse_method(Exchange& exchange) noexcept;
    void collect(Exchange& exchange) noexcept;
    void on_content(std::error_code error) noexcept;
    void call(Exchange& exchange) noexcept;

    ServerConnection& connection_;
    IdleReceive* idle_receive_ = nullptr;  // of the stream, if it has one
    MovingDeadline idle_end_;              // of Reading::bytes
    std::int64_t idle_end_ns_ = 0;         // of the wait for the next head; 0: not set
    std::uint64_t count_ = 0;              // requests
    Exchange* current_ = nullptr;
    Reading reading_ = Reading::nothing;
    bool last_ = false;     // no request after this one
    bool lingers_ = false;  // the peer may still send bytes to be dropped
    bool serving_ = false;  // serve() is on the stack, or will be called
    bool more_ = false;     // meanwhile: another request may be read
};

}  // namespace uaio::http
