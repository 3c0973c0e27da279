#include "transport/http/server/server_session.h"

#include "base/check.h"
#include "transport/http/server/server_connection.h"

namespace uaio::http {

ServerSession::ServerSession(ServerShard& shard)
    : send_end(
          shard.core(),
          [](void* self, std::error_code reason) noexcept {
              auto& lent = *static_cast<ServerSession*>(self);
              if (lent.connection) lent.connection->responses().cancel_first(reason);
          },
          this),
      reads(shard.engine(), [this](Aio&) { connection->requests().on_read(); }) {}

ServerSession::~ServerSession() {
    DCHECK(!connection);
    if (session) session->release(nullptr);
}

void ServerSession::forget() noexcept {
    connection = nullptr;
    send_end.clear();
    found = {};
    path_error.clear();
    discarded.reset();
    if (session) session->detach();
}

}  // namespace uaio::http
