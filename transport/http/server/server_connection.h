// One connection of a server: its stream, the requests read from it, the responses written to it,
// and its end. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include "transport/http/server/descriptor_budget.h"
#include "transport/http/server/request_reader.h"
#include "transport/http/server/response_sender.h"
#include "transport/http/server/server_shard.h"
#include "transport/http/session.h"

namespace uaio::http {

class ServerConnection {
public:
    ServerConnection(ServerShard& shard, StreamPtr stream);

    void start() noexcept;
    // Called when the Server is destroyed: closes, and calls no handler.
    void abandon() noexcept;
    Connection hijack(Exchange& exchange) noexcept;

    ServerShard& shard() noexcept { return shard_; }
    Connection& connection() noexcept { return connection_; }
    // Null after hijack().
    Session* session() noexcept { return connection_.session_.load(std::memory_order_relaxed); }
    RequestReader& requests() noexcept { return requests_; }
    ResponseSender& responses() noexcept { return responses_; }
    // The Aio of requests().
    Aio& reads() noexcept { return reads_; }
    // An operation of this connection is in progress.
    bool pending() const noexcept { return responses_.pending() > 0 || requests_.reading(); }
    bool closed() const noexcept { return closed_; }

    // A response has ended: reads the next request, or ends the connection.
    void go_on() noexcept;
    void close() noexcept;
    // Gives the exchange back to the shard.
    void release(Exchange& exchange) noexcept;
    // Call whenever a part of this connection has ended. May free this object.
    void destroy_if_idle() noexcept;

    // The shard's list of connections.
    void link(ServerConnection*& head) noexcept;
    void unlink() noexcept;
    ServerConnection* next() const noexcept { return next_; }

private:
    ServerShard& shard_;
    Connection connection_;
    ServerConnection* next_ = nullptr;
    ServerConnection** previous_ = nullptr;
    RequestReader requests_{*this};
    ResponseSender responses_{*this};
    const DescriptorBudget::Connection budgeted_;
    bool closed_ = false;
    Aio reads_;
};

}  // namespace uaio::http
