#include "transport/http/server/server_connection.h"

#include "base/check.h"

#include <utility>

namespace uaio::http {

ServerConnection::ServerConnection(ServerShard& shard, StreamPtr stream) noexcept
    : shard_(shard),
      connection_(std::move(stream), {.limits = shard.options().limits,
                                      .head_timeout = shard.options().head_timeout,
                                      .send_timeout = shard.options().send_timeout}) {}

ServerConnection::~ServerConnection() { return_session(); }

void ServerConnection::start() noexcept {
    if constexpr (!kHttp) return close();
    requests_.start();
}

bool ServerConnection::take_session() noexcept {
    if (lent_) return true;
    DCHECK(!session() && !closed_);
    lent_ = shard_.lend_session(*this, connection_.stream());
    if (!lent_) return false;
    requests_.serve_heads_of(*lent_->session);
    connection_.session_.store(lent_->session, std::memory_order_release);
    return true;
}

void ServerConnection::rest() noexcept {
    if (!requests_.awaits_bytes() || responses_.pending() > 0) return;
    if (requests_.stopped()) return requests_.stop_awaiting();
    if (session() && session()->is_between_messages()) return_session();
}

void ServerConnection::return_session() noexcept {
    if (!lent_) return;
    if (shard_.give_back(*std::exchange(lent_, nullptr))) {
        connection_.session_.store(nullptr, std::memory_order_relaxed);
    }
}

void ServerConnection::abandon() noexcept {
    requests_.stop();
    close();
}

Connection ServerConnection::hijack(Exchange& exchange) noexcept {
    DCHECK(requests_.current() == &exchange && !requests_.reading());
    bool kept = true;
    if (Session* const left = session()) {
        left->set_no_server();
        kept = left->source().buffer().keep();
    }
    Connection taken = std::move(connection_);
    if (!kept) taken.close();
    if (lent_) lent_->session = nullptr;
    requests_.stop();
    closed_ = true;
    release(exchange);
    destroy_if_idle();
    return taken;
}

void ServerConnection::go_on() noexcept {
    if (requests_.awaits_bytes()) rest();
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
