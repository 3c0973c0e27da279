// One connection of a server: reads requests, finds their handlers, and writes what those answer,
// in order. While responses are on their way the next request is looked at, each with an Exchange
// of its own. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include "transport/http/server_loop.h"
#include "transport/http/session.h"

#include <memory>
#include <string>
#include <vector>

namespace uaio::http {

class ServerConnection {
public:
    ServerConnection(ServerLoop& loop, StreamPtr stream);

    void start() noexcept { read_next(); }
    // No request after those that have begun.
    void drain() noexcept;
    // The Server is gone: closes, and calls no handler.
    void abandon() noexcept;

    // ---- what an Exchange does
    void respond(Exchange& exchange) noexcept;
    void respond(Exchange& exchange, int status) noexcept;
    void begin(Exchange& exchange, Aio& aio) noexcept;
    void end(Exchange& exchange) noexcept;
    void fail(Exchange& exchange) noexcept;
    Connection hijack(Exchange& exchange) noexcept;
    Connection& connection() noexcept { return connection_; }
    ServerLoop& loop() noexcept { return loop_; }

    void on_event(Exchange& exchange) noexcept;

    // The list that the loop keeps.
    void link(ServerConnection*& head) noexcept;
    void unlink(ServerConnection*& head) noexcept;
    ServerConnection* next() const noexcept { return next_; }

private:
    Session* session() noexcept { return connection_.session_.load(std::memory_order_relaxed); }
    bool content_is_over() noexcept;
    bool mid_head() noexcept;
    Exchange* free_exchange() noexcept;
    void read_next() noexcept;
    void on_head(Exchange& exchange) noexcept;
    void refuse(Exchange& exchange, std::error_code error) noexcept;
    void route(Exchange& exchange) noexcept;
    void collect(Exchange& exchange) noexcept;
    void on_content(Exchange& exchange) noexcept;
    void call(Exchange& exchange) noexcept;
    void on_written(Exchange& exchange) noexcept;
    void set_date(Response& response) noexcept;
    bool may_stay() noexcept;
    void after_response() noexcept;
    void linger(Exchange& exchange) noexcept;
    void close() noexcept;
    void release(Exchange& exchange) noexcept;
    void let_go() noexcept;

    ServerLoop& loop_;
    Connection connection_;
    std::vector<std::unique_ptr<Exchange>> exchanges_;
    ServerConnection* next_ = nullptr;
    ServerConnection** previous_ = nullptr;
    std::uint64_t requests_ = 0;
    std::size_t writing_ = 0;      // responses on their way
    Exchange* current_ = nullptr;  // whose request is being read or handled
    bool last_ = false;            // no request after this one
    bool lingers_ = false;         // the peer may still send what nobody wants
    bool calling_ = false;         // a handler is on the stack
    bool closed_ = false;
};

}  // namespace uaio::http
