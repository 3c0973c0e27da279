// The requests of one connection of a server: reads their heads, finds their routes, collects their
// content and calls their handlers, one request at a time. After the last one it drops the bytes
// that the client still sends. The shard lends an Exchange once a head is complete, so a connection
// that waits for a request holds none. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include "transport/http/format/head_parser.h"
#include "transport/http/server/router.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>

namespace uaio::http {

class RequestReader {
public:
    explicit RequestReader(ServerConnection& connection) noexcept : connection_(connection) {}

    // Begins with the first request.
    void start(Session& session) noexcept;
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
    // A read of the stream is in progress.
    bool reading() const noexcept { return reading_ != Reading::nothing; }
    // The callback of ServerConnection::reads().
    void on_read() noexcept;
    // A member of this object, and perhaps a handler, is on the stack.
    bool serving() const noexcept { return serving_; }

private:
    enum class Reading : std::uint8_t {
        nothing,
        turn,  // a callback that takes the next head
        head,
        content,
        rest,
    };

    static Request* lend_request(void* self, const RequestHead& head) noexcept;
    bool may_read() const noexcept;
    bool await_head() noexcept;
    void read_in_callback() noexcept;
    void on_awaited(std::error_code error) noexcept;
    void serve() noexcept;
    bool content_is_over() noexcept;
    bool mid_head() noexcept;
    bool may_stay() noexcept;
    void on_head(std::error_code error) noexcept;
    void refuse(std::error_code error) noexcept;
    void refuse_content(Exchange& exchange, int status) noexcept;
    void find_route(const RequestHead& head) noexcept;
    void route(Exchange& exchange) noexcept;
    void refuse_method(Exchange& exchange) noexcept;
    void collect(Exchange& exchange) noexcept;
    void on_content(std::error_code error) noexcept;
    void call(Exchange& exchange) noexcept;

    ServerConnection& connection_;
    std::uint64_t count_ = 0;  // requests
    Exchange* current_ = nullptr;
    Router::Found found_;                // for the last head
    std::error_code path_error_;         // of its target
    Clock::time_point deadline_;         // of the content, or of lingering
    std::unique_ptr<char[]> discarded_;  // for bytes that are dropped
    Reading reading_ = Reading::nothing;
    bool last_ = false;     // no request after this one
    bool lingers_ = false;  // the peer may still send bytes to be dropped
    bool serving_ = false;  // serve() is on the stack, or will be called
    bool more_ = false;     // meanwhile: another request may be read
};

}  // namespace uaio::http
