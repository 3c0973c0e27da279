// One connection of a server: its stream, the requests read from it, the responses written to it,
// and its end. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include "base/check.h"
#include "transport/http/server/descriptor_budget.h"
#include "transport/http/server/request_reader.h"
#include "transport/http/server/response_sender.h"
#include "transport/http/server/server_session.h"
#include "transport/http/server/server_shard.h"

namespace uaio::http {

class ServerConnection {
public:
    ServerConnection(ServerShard& shard, StreamPtr stream) noexcept;
    ~ServerConnection();
    ServerConnection(const ServerConnection&) = delete;
    ServerConnection& operator=(const ServerConnection&) = delete;

    void start() noexcept;
    // Called when the Server is destroyed: closes, and calls no handler.
    void abandon() noexcept;
    Connection hijack(Exchange& exchange) noexcept;

    ServerShard& shard() noexcept { return shard_; }
    Connection& connection() noexcept { return connection_; }
    // Null after hijack(), and while the connection waits for a request.
    Session* session() noexcept { return connection_.session_.load(std::memory_order_relaxed); }
    RequestReader& requests() noexcept { return requests_; }
    ResponseSender& responses() noexcept { return responses_; }
    // Gives this connection a session, if it has none. False if out of memory.
    [[nodiscard]] bool take_session() noexcept;
    // Returns the session if the connection does without it, or ends the wait for a request that is
    // not read any more. Call whenever a request is awaited.
    void rest() noexcept;
    // The part that the shard has lent it. REQUIRES: it has a session, or had one until hijack().
    ServerSession& lent() noexcept {
        DCHECK(lent_ != nullptr);
        return *lent_;
    }
    // The Aio of requests().
    Aio& reads() noexcept { return lent().reads; }
    // An operation of this connection is in progress.
    bool pending() const noexcept { return responses_.pending() > 0 || requests_.reading(); }
    // The same, of one that needs the session.
    bool pending_with_session() const noexcept {
        return responses_.pending() > 0 || (requests_.reading() && !requests_.awaits_bytes());
    }
    bool closed() const noexcept { return closed_; }

    // A response has ended: reads the next request, or ends the connection.
    void go_on() noexcept;
    void close() noexcept;
    // Gives the exchange back to the shard.
    void release(Exchange& exchange) noexcept;
    // Call whenever a part of this connection has ended. May free this object.
    void destroy_if_idle() noexcept;

    // Called before the engine is destroyed.
    void drop_deadlines() noexcept {
        requests_.drop_deadline();
        if (lent_) lent_->send_end.drop();
    }

    // The shard's list of connections.
    void link(ServerConnection*& head) noexcept;
    void unlink() noexcept;
    ServerConnection* next() const noexcept { return next_; }

private:
    void return_session() noexcept;

    ServerShard& shard_;
    Connection connection_;
    ServerSession* lent_ = nullptr;
    ServerConnection* next_ = nullptr;
    ServerConnection** previous_ = nullptr;
    RequestReader requests_{*this};
    ResponseSender responses_{*this};
    const DescriptorBudget::Connection budgeted_;
    bool closed_ = false;
};

}  // namespace uaio::http
