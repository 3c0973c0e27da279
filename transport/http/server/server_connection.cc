#include "transport/http/server/server_connection.h"

#include "base/check.h"

#include <utility>

namespace uaio::http {

ServerConnection::ServerConnection(ServerShard& shard, StreamPtr stream)
    : shard_(shard),
      connection_(std::move(stream), {.limits = shard.options().limits,
                                      .head_timeout = shard.options().head_timeout,
                                      .send_timeout = shard.options().send_timeout}),
      reads_(shard.engine(), [this](Aio&) { requests_.on_read(); }) {}

void ServerConnection::start() noexcept {
    if constexpr (!kHttp) return close();
    Session* const made = connection_.session_for(reads_);
    if (!made) return close();
    made->set_server(shard_.options().idle_timeout, shard_.options().content_timeout);
    requests_.start(*made);
}

void ServerConnection::abandon() noexcept {
    requests_.stop();
    close();
}

Connection ServerConnection::hijack(Exchange& exchange) noexcept {
    DCHECK(requests_.current() == &exchange && !requests_.reading());
    if (session()) session()->set_no_server();
    Connection taken = std::move(connection_);
    requests_.stop();
    closed_ = true;
    release(exchange);
    destroy_if_idle();
    return taken;
}

void ServerConnection::go_on() noexcept {
    if (pending() || requests_.current()) return destroy_if_idle();
    if (!requests_.stopped() && connection_.keeps_alive()) return requests_.read_next();
    requests_.lingers() && !closed_ ? requests_.linger() : close();
}

void ServerConnection::close() noexcept {
    if (!closed_) {
        closed_ = true;
        connection_.close();
    }
    destroy_if_idle();
}

void ServerConnection::release(Exchange& exchange) noexcept {
    requests_.leave(exchange);
    shard_.give_back(exchange);
}

void ServerConnection::destroy_if_idle() noexcept {
    const bool idle = !requests_.current() && !pending() && !requests_.serving();
    if (closed_ && idle) shard_.left(*this);  // frees this
}

void ServerConnection::link(ServerConnection*& head) noexcept {
    DCHECK(!previous_);
    next_ = head;
    previous_ = &head;
    if (next_) next_->previous_ = &next_;
    head = this;
}

void ServerConnection::unlink() noexcept {
    DCHECK(*previous_ == this && (!next_ || next_->previous_ == &next_));
    *previous_ = next_;
    if (next_) next_->previous_ = previous_;
}

}  // namespace uaio::http
