// The part of a server's connection that it has with a request, until all responses are sent, and
// not while it waits for the next one. The shard lends these, those released last first, so that
// few are in use, and warm in the cache, however many connections exist. Engine's thread.
#pragma once

#include <uaio/aio.h>

#include "engine/moving_deadline.h"
#include "transport/http/server/router.h"
#include "transport/http/session.h"

#include <memory>
#include <system_error>

namespace uaio::http {

class ServerConnection;
class ServerShard;

struct ServerSession {
    explicit ServerSession(ServerShard& shard);
    ~ServerSession();
    ServerSession(const ServerSession&) = delete;
    ServerSession& operator=(const ServerSession&) = delete;

    // Called when the connection has returned it.
    void forget() noexcept;

    Session* session = nullptr;              // none behind Exchange::hijack()
    ServerConnection* connection = nullptr;  // that it is lent to
    ServerSession* next = nullptr;           // in the shard

    // The connection's ResponseSender's: the deadline of the first response that is being written.
    MovingDeadline send_end;

    // The connection's RequestReader's.
    Router::Found found;                // for the last head
    std::error_code path_error;         // of its target
    Clock::time_point deadline;         // of the content, or of lingering
    std::unique_ptr<char[]> discarded;  // for bytes that are dropped
    Aio reads;
};

}  // namespace uaio::http
