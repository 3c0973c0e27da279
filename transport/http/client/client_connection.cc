#include "transport/http/client/client_connection.h"

#include <uaio/argument_error.h>
#include <uaio/http_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/deadline.h"
#include "transport/http/client/redirect.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/send_allowance.h"
#include "transport/http/session.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

namespace uaio::http {
namespace {

// Limit of the memory that an idle connection keeps of its last response.
constexpr std::size_t kKeptBytes = 64 * 1024;

// RFC 9110 9.2.2.
bool is_idempotent(std::string_view method) noexcept {
    constexpr std::string_view kMethods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    return std::ranges::find(kMethods, method) != std::end(kMethods);
}

}  // namespace

ClientConnection::ClientConnection(ClientCore& core)
    : core_(core),
      reads_(core.engine(), [this](Aio&) { on_read(); }),
      writes_(core.engine(), [this](Aio&) { on_written(); }),
      idle_end_(
          core.core(),
          [](void* self, std::error_code reason) noexcept {
              auto& connection = *static_cast<ClientConnection*>(self);
              if (reason == Errc::timed_out && connection.rests()) connection.close();
          },
          this),
      send_end_(
          core.core(),
          [](void* self, std::error_code reason) noexcept {
              Provider::cancel(static_cast<ClientConnection*>(self)->writes_, reason);
          },
          this) {}

// ---- requests

void ClientConnection::connect(Transaction& transaction) noexcept {
    DCHECK(state_ == State::connecting && !current_ && !transaction.connection);
    current_ = &transaction;
    transaction.connection = this;
    reading_ = true;
    reads_.set_timeout(core_.options().connect_timeout);
    core_.connector().connect(reads_, stream_);
}

void ClientConnection::on_connected(std::error_code error) noexcept {
    if (!error && !stream_) error = ArgumentErrc::no_stream;
    if (error) return end(error);
    DCHECK(current_);
    connection_.emplace(std::move(stream_),
                        ConnectionOptions{.limits = core_.options().limits,
                                          .send_timeout = kNoTimeout,  // see send_end_
                                          .lenient = !core_.options().strict});
    if constexpr (!kHttp) return end(Errc::not_supported);
    // The verbs below would report a lack of memory later, and source() needs the session now.
    Session* const session = connection_->session_for(reads_);
    if (!session) return end(Errc::not_enough_memory);
    session->set_reader(
        nullptr,
        [](void* self, std::error_code ended) noexcept {
            static_cast<ClientConnection*>(self)->on_ended(ended);
        },
        this);
    reads_.set_timeout(kNoTimeout);
    read_head();
    send();
}

void ClientConnection::carry(Transaction& transaction) noexcept {
    DCHECK(rests() && !current_ && !transaction.connection);
    current_ = &transaction;
    transaction.connection = this;
    idle_end_.clear();
    send();
}

// While a read waits for its first byte, no byte has been read; only the socket knows of bytes that
// arrived since. A stream without a descriptor counts as unchanged.
bool ClientConnection::check() noexcept {
    if (!reading_ || !source().waits_for_first_byte()) return false;
    const int fd = connection_->stream().native_handle();
    if (fd < 0) return true;
    const int result = EngineCore::of(core_.engine()).kernel().peek(fd);
    return result == -EAGAIN || result == -ENOTSOCK || result == -EOPNOTSUPP;
}

void ClientConnection::send() noexcept {
    DCHECK(!writing_ && reading_ && !collecting_);
    stop_resting();
    state_ = State::head;
    ++carried_;
    writing_ = true;
    enters_ = core_.enters();
    source().arrival().begin_exchange();
    in_place_ = source().may_take_head() && source().await_head(current_->response);
    const Request& request = *current_->request;
    const std::chrono::nanoseconds timeout = core_.options().send_timeout;
    if (timeout != kNoTimeout) {
        const std::size_t bytes = request.content().size() + request.headers().text().size();
        send_end_.move(deadline_after(core_.core().now_ns(), send_allowance(timeout, bytes)));
    }
    connection_->write_request(*current_->request, writes_);
}

void ClientConnection::on_written() noexcept {
    DCHECK(writing_);
    writing_ = false;
    send_end_.clear();
    const std::error_code error = writes_.result();
    if (!error) source().arrival().request_sent();
    if (error && current_ && state_ == State::head) {
        const bool unsent = writes_.count() == 0;
        if (unsent &&
            (error == ArgumentErrc::invalid_message || error == Errc::not_enough_memory)) {
            // The read that is pending awaited the head for the transaction.
            if (std::exchange(in_place_, false)) static_cast<void>(source().await_head(&incoming_));
            core_.finish(*std::exchange(current_, nullptr), error);
            return rest();
        }
        if (error == Errc::timed_out) return end(error);
        // A server may have answered early and closed: the pending read reports it.
    }
    destroy_if_idle();
}

// ---- responses

void ClientConnection::read_head() noexcept {
    DCHECK(!reading_ && !collecting_);
    reading_ = true;
    MessageSource& from = source();
    if (from.may_take_head() && from.await_head(&incoming_)) return;
    connection_->read_response(incoming_, reads_);
}

void ClientConnection::on_read() noexcept {
    if (collecting_) keep_content();
    on_ended(reads_.result());
}

void ClientConnection::on_ended(std::error_code error) noexcept {
    DCHECK(reading_);
    reading_ = false;
    const bool in_place = std::exchange(in_place_, false);
    switch (state_) {
        case State::connecting: return on_connected(error);
        case State::resting: core_.counters.discarded.add(); return close();
        case State::head: return on_head(error, in_place);
        case State::content: return on_content(error);
        case State::closed:
            if (in_place) current_->response->reset();  // the head was not awaited any more
            return destroy_if_idle();
    }
}

// `in_place`: the head is in the transaction's response.
void ClientConnection::on_head(std::error_code error, bool in_place) noexcept {
    const bool early = source().arrival().was_before(enters_);
    if (in_place && (early || error)) current_->response->reset();
    if (early) {  // before the kernel got the request
        core_.counters.discarded.add();
        return end(HttpErrc::unrequested_response, Then::retry);
    }
    if (error) {
        const bool gone = error == Errc::end_of_stream || error == Errc::connection_reset ||
                          error == Errc::closed;
        const bool unanswered = error == Errc::end_of_stream;
        return end(unanswered ? HttpErrc::no_response : error, gone ? Then::retry : Then::end);
    }
    DCHECK(current_->connection == this);
    if (!in_place) std::swap(*current_->response, incoming_);
    collected_ = 0;
    if (source().content().is_over()) return complete();
    state_ = State::content;
    read_content();
}

MessageSource& ClientConnection::source() noexcept {
    return connection_->session_.load(std::memory_order_relaxed)->source();
}

void ClientConnection::read_content() noexcept {
    const std::uint64_t known = source().content().left();
    const std::size_t limit = core_.options().content_limit;
    DCHECK(!reading_ && collected_ <= limit);
    if (known > limit - collected_) return end(HttpErrc::content_too_large);
    // Content without a length that has reached the limit may still end there: one more byte is
    // read.
    const std::span<char> room = MessageReader::content_room(
        *current_->response, collected_, known > 0 ? known : limit - collected_);
    if (room.empty()) return end(Errc::not_enough_memory);
    if (known > 0 && room.size() == known && source().take_content(room.data(), room.size())) {
        collected_ += room.size();
        return complete();
    }
    reads_.set_iov(room.data(), room.size());
    reading_ = collecting_ = true;
    connection_->read_content().read_all(reads_);
}

void ClientConnection::keep_content() noexcept {
    collecting_ = false;
    collected_ += reads_.count();
    DCHECK(collected_ <= MessageReader::content(*current_->response).size());
    MessageReader::content(*current_->response).resize(collected_);
}

void ClientConnection::on_content(std::error_code error) noexcept {
    if (error && error != Errc::end_of_stream) return end(error);
    if (collected_ > core_.options().content_limit) {
        collected_ = core_.options().content_limit;
        MessageReader::content(*current_->response).resize(collected_);
        return end(HttpErrc::content_too_large);
    }
    if (error || source().content().is_over()) return complete();
    read_content();
}

// A connection is not reused after an unrequested byte, or after a response before all of its
// request was sent: it may next deliver the response to another request.
void ClientConnection::complete() noexcept {
    // RFC 9112 9.3: after an early response to a request that is still being sent, the connection
    // cannot be reused.
    const bool last = !connection_->keeps_alive() || writing_ || source().arrival().is_early() ||
                      source().content().is_tunnel();
    if (!last && !source().buffer().empty()) core_.counters.discarded.add();
    if (last || !source().buffer().empty()) return end({}, Then::follow_redirect);
    DCHECK(!reading_);
    Transaction& transaction = *std::exchange(current_, nullptr);
    transaction.connection = nullptr;
    ClientCore& core = core_;
    std::error_code error;
    const bool again = redirect(transaction, error);
    if (!again) core.finish(transaction, error);
    rest();  // may free this
    if (again) core.carry(transaction);
}

// True if the request was changed into that of the redirect.
bool ClientConnection::redirect(Transaction& transaction, std::error_code& error) noexcept {
    const unsigned limit = core_.options().redirects;
    if (limit == 0) return false;
    Redirect redirect;
    error = redirect.read(*transaction.request, *transaction.response, core_.origin());
    if (error || !redirect.followed()) return false;
    if (transaction.redirects >= limit) return error = HttpErrc::too_many_redirects, false;
    error = redirect.apply(*transaction.request);
    if (error) return false;
    transaction.response->reset();
    ++transaction.redirects;
    transaction.again = false;
    return true;
}

// ---- ends

void ClientConnection::end(std::error_code error) noexcept {
    if (state_ != State::closed) return end(error, Then::end);
    if (then_ == Then::retry) result_ = error;
    then_ = Then::end;
}

void ClientConnection::end(std::error_code error, Then then) noexcept {
    result_ = error;
    then_ = then;
    close();
}

void ClientConnection::rest() noexcept {
    DCHECK(!current_ && state_ != State::closed && !writing_);
    if (core_.abandoned()) return close();
    state_ = State::resting;
    DCHECK(!previous_resting_);
    next_resting_ = core_.resting_;
    previous_resting_ = &core_.resting_;
    if (next_resting_) next_resting_->previous_resting_ = &next_resting_;
    core_.resting_ = this;
    if (!reading_) {
        // incoming_ has the memory of the response that it was swapped with.
        if (MessageReader::capacity(incoming_) > kKeptBytes) incoming_ = Response();
        read_head();
    }
    idle_end_.move(deadline_after(core_.core().now_ns(), core_.options().idle_timeout));
    core_.carry_waiting();
}

void ClientConnection::stop_resting() noexcept {
    DCHECK(rests() == (previous_resting_ != nullptr));
    if (!rests()) return;
    *previous_resting_ = next_resting_;
    if (next_resting_) next_resting_->previous_resting_ = previous_resting_;
    previous_resting_ = nullptr;
}

void ClientConnection::close() noexcept {
    if (state_ != State::closed) {
        const bool connecting = state_ == State::connecting;
        stop_resting();
        state_ = State::closed;
        if (connecting) {
            reads_.cancel();
        } else {
            connection_->close();
        }
    }
    destroy_if_idle();
}

// Finishes the transaction, or passes it to another connection: nothing here uses it any more.
void ClientConnection::release_transaction() noexcept {
    DCHECK(current_->connection == this && !reading_ && !writing_);
    Transaction& transaction = *std::exchange(current_, nullptr);
    transaction.connection = nullptr;
    const bool again = then_ == Then::retry             ? may_retry(transaction)
                       : then_ == Then::follow_redirect ? redirect(transaction, result_)
                                                        : false;
    again ? core_.carry(transaction) : core_.finish(transaction, result_);
}

// True if a kept connection closed before a byte of a response, and a retry is safe: nothing was
// sent, or the method is idempotent (RFC 9110 9.2.2). TLS counts whole records, so part of one may
// have been sent at a count of 0, unless the kernel has not been entered.
bool ClientConnection::may_retry(Transaction& transaction) noexcept {
    if (carried_ < 2 || transaction.again) return false;
    const bool exact = !core_.origin().secure() || source().arrival().was_before(enters_);
    const bool unsent = exact && writes_.result() && writes_.count() == 0;
    if (!unsent && !is_idempotent(transaction.request->method())) return false;
    transaction.again = true;
    core_.counters.retries.add();
    return true;
}

void ClientConnection::destroy_if_idle() noexcept {
    if (state_ != State::closed || reading_ || writing_) return;
    if (current_) release_transaction();
    core_.left(*this);
}

}  // namespace uaio::http
