// One connection of a server: reads requests, finds their handlers, and writes the responses in
// order. The shard lends an Exchange for each request once its head is complete, so a connection
// that waits for a request holds none. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include "transport/http/server/descriptor_budget.h"
#include "transport/http/server/server_shard.h"
#include "transport/http/session.h"

#include <memory>

namespace uaio::http {

class ServerConnection {
public:
    ServerConnection(ServerShard& loop, StreamPtr stream);

    void start() noexcept;
    // Reads no request after those that have begun.
    void drain() noexcept;
    // Called when the Server is destroyed: closes, and calls no handler.
    void abandon() noexcept;

    // ---- operations of an Exchange
    void respond(Exchange& exchange) noexcept;
    void respond(Exchange& exchange, int status) noexcept;
    void begin(Exchange& exchange, Aio& aio) noexcept;
    void end(Exchange& exchange) noexcept;
    void fail(Exchange& exchange, std::error_code error = Errc::closed) noexcept;
    // Logs the failure, and stores it for the access record; `exchange` is null if it has ended.
    void note_failure(Exchange* exchange, std::error_code failure, std::string_view what,
                      std::string_view detail) noexcept;
    // Notes the failure, and answers 500. REQUIRES: nothing of the response was sent.
    void refuse_response(Exchange& exchange, std::error_code error, std::string_view what,
                         std::string_view detail) noexcept;
    Connection hijack(Exchange& exchange) noexcept;
    Connection& connection() noexcept { return connection_; }
    ServerShard& loop() noexcept { return loop_; }
    // An operation of this connection is in progress.
    bool pending() const noexcept { return writing_ > 0 || reading_ != Reading::nothing; }
    // Called before the engine is destroyed: frees the current exchange.
    void drop_exchange() noexcept;

    void on_written(Exchange& exchange) noexcept;

    // The shard's list of connections.
    void link(ServerConnection*& head) noexcept;
    void unlink() noexcept;
    ServerConnection* next() const noexcept { return next_; }

private:
    Session* session() noexcept { return connection_.session_.load(std::memory_order_relaxed); }
    bool content_is_over() noexcept;
    bool mid_head() noexcept;
    enum class Reading : std::uint8_t { nothing, head, content, rest };

    static Request* lend_request(void* self) noexcept;
    void read_next() noexcept;
    void on_read() noexcept;
    void on_head(std::error_code error) noexcept;
    void refuse(std::error_code error) noexcept;
    void route(Exchange& exchange) noexcept;
    void refuse_method(Exchange& exchange, std::string_view host) noexcept;
    void collect(Exchange& exchange) noexcept;
    void on_content(std::error_code error) noexcept;
    void call(Exchange& exchange) noexcept;
    void on_thrown(Exchange* exchange) noexcept;
    bool is_final(Exchange& exchange, int status) noexcept;
    void send_page(Exchange& exchange, int status) noexcept;
    void send(Exchange& exchange) noexcept;
    bool has_pending() noexcept;
    void answer_unsent(Exchange& exchange) noexcept;
    void refuse_message(Exchange& exchange) noexcept;
    bool may_stay() noexcept;
    void end_with_this() noexcept;
    void wait_for_writes(Exchange& exchange, Exchange::State state) noexcept;
    void complete(Exchange& exchange) noexcept;
    void break_off(Exchange& exchange, std::error_code error) noexcept;
    void drop(Exchange& exchange) noexcept;
    void log_access(const Exchange& exchange, int status, std::uint64_t bytes,
                    std::error_code error) noexcept;
    void after_response() noexcept;
    void linger() noexcept;
    void on_rest(std::error_code error) noexcept;
    void close() noexcept;
    void release(Exchange& exchange) noexcept;
    void destroy_if_idle() noexcept;

    ServerShard& loop_;
    const DescriptorBudget::Connection budgeted_;
    Connection connection_;
    ServerConnection* next_ = nullptr;
    ServerConnection** previous_ = nullptr;
    std::uint64_t requests_ = 0;
    std::size_t writing_ = 0;            // responses being sent
    Exchange* current_ = nullptr;        // its content is being read, or a handler holds it
    Clock::time_point deadline_;         // of the content, or of lingering
    std::unique_ptr<char[]> discarded_;  // for bytes that are dropped
    Reading reading_ = Reading::nothing;
    bool last_ = false;     // no request after this one
    bool lingers_ = false;  // the peer may still send bytes to be dropped
    bool calling_ = false;  // a handler is on the stack
    bool closed_ = false;
    Aio read_;
};

}  // namespace uaio::http
