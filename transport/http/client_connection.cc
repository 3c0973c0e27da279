#include "transport/http/client_connection.h"

#include <uaio/provider.h>

#include "transport/http/message_reader.h"
#include "transport/http/session.h"
#include "transport/http/target.h"

#include <algorithm>
#include <new>
#include <utility>

namespace uaio::http {
namespace {

// Content without a known length is collected in pieces of this size.
constexpr std::size_t kPiece = 16 * 1024;

// RFC 9110 9.2.2.
bool is_idempotent(std::string_view method) noexcept {
    constexpr std::string_view kMethods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    return std::ranges::find(kMethods, method) != std::end(kMethods);
}

void start_timer(Aio& aio) noexcept {
    provider::park(
        aio, [](Aio& over) noexcept { provider::finish(over, provider::cancel_reason(over)); });
}

}  // namespace

ClientConnection::ClientConnection(ClientCore& core)
    : core_(core),
      reads_(core.engine(), [this](Aio&) { on_read(); }),
      writes_(core.engine(), [this](Aio&) { on_written(); }),
      timer_(core.engine(), [this](Aio&) { on_timer(); }) {
    timer_.set_timeout(core.options().idle_timeout);
}

// ---- requests

void ClientConnection::connect(Transaction& transaction) noexcept {
    current_ = &transaction;
    transaction.connection = this;
    reading_ = true;
    reads_.set_timeout(core_.options().connect_timeout);
    core_.connector().connect(reads_, stream_);
}

void ClientConnection::on_connected(std::error_code error) noexcept {
    if (error) return end(error);
    connection_.emplace(std::move(stream_), ConnectionOptions{.limits = core_.options().limits});
    reads_.set_timeout(kNoTimeout);
    read_head();
    send();
}

void ClientConnection::carry(Transaction& transaction) noexcept {
    current_ = &transaction;
    transaction.connection = this;
    if (timing_) timer_.cancel();
    send();
}

void ClientConnection::send() noexcept {
    state_ = State::head;
    ++carried_;
    writing_ = true;
    connection_->write_request(*current_->request, writes_);
}

void ClientConnection::on_written() noexcept {
    writing_ = false;
    const std::error_code error = writes_.result();
    if (error && current_ && state_ == State::head) {
        const bool unsent = writes_.count() == 0;
        if (unsent && (error == Errc::invalid_argument || error == Errc::not_enough_memory)) {
            core_.finish(*std::exchange(current_, nullptr), error);
            return rest();
        }
        // A server may have answered early and closed: the read, which is under way, tells.
    }
    let_go();
}

// ---- responses

void ClientConnection::read_head() noexcept {
    reading_ = true;
    connection_->read_response(incoming_, reads_);
}

void ClientConnection::on_read() noexcept {
    reading_ = false;
    const std::error_code error = reads_.result();
    if (collecting_) keep_content();
    switch (state_) {
        case State::connecting: return on_connected(error);
        case State::resting: core_.counters.discarded.add(); return close();
        case State::head: return on_head(error);
        case State::content: return on_content(error);
        case State::closed: return let_go();
    }
}

void ClientConnection::on_head(std::error_code error) noexcept {
    Transaction& transaction = *current_;
    if (error) {
        const bool gone = error == Errc::end_of_stream || error == Errc::connection_reset ||
                          error == Errc::closed;
        const bool retry = gone && carried_ > 1 && !transaction.again &&
                           is_idempotent(transaction.request->method());
        if (retry) {
            transaction.again = true;
            core_.counters.retries.add();
        }
        return end(error, retry ? Then::retry : Then::end);
    }
    std::swap(*transaction.response, incoming_);
    collected_ = 0;
    if (content_is_over()) return complete();
    state_ = State::content;
    read_content();
}

bool ClientConnection::content_is_over() noexcept {
    return connection_->session_.load(std::memory_order_relaxed)->source().content_is_over();
}

void ClientConnection::read_content() noexcept {
    const auto& source = connection_->session_.load(std::memory_order_relaxed)->source();
    const std::uint64_t known = source.content_left();
    const std::size_t limit = core_.options().content_limit;
    if (known > limit - collected_ || collected_ >= limit) return end(Errc::no_buffer_space);
    const std::size_t wanted =
        known > 0 ? static_cast<std::size_t>(known) : std::min(kPiece, limit - collected_);
    std::string& content = MessageReader::content(*current_->response);
    try {
        content.resize(collected_ + wanted);
    } catch (const std::bad_alloc&) {
        return end(Errc::not_enough_memory);
    }
    static_cast<void>(reads_.set_iov(content.data() + collected_, wanted));
    reading_ = collecting_ = true;
    connection_->read_body().read_all(reads_);
}

void ClientConnection::keep_content() noexcept {
    collecting_ = false;
    collected_ += reads_.count();
    MessageReader::content(*current_->response).resize(collected_);
}

void ClientConnection::on_content(std::error_code error) noexcept {
    if (error && error != Errc::end_of_stream) return end(error);
    if (error || content_is_over()) return complete();
    read_content();
}

void ClientConnection::complete() noexcept {
    // RFC 9112 9.3: an early response to a request that is still being sent leaves nothing to go on
    // with.
    if (!connection_->keeps_alive() || writing_) return end({}, Then::follow_redirect);
    Transaction& transaction = *std::exchange(current_, nullptr);
    transaction.connection = nullptr;
    ClientCore& core = core_;
    const bool again = redirect(transaction);
    if (!again) core.finish(transaction, {});
    rest();  // may free this
    if (again) core.carry(transaction);
}

// True if the request was changed into the one that the redirect asks for.
bool ClientConnection::redirect(Transaction& transaction) noexcept {
    if (transaction.redirects >= core_.options().redirects) return false;
    Request& request = *transaction.request;
    const int status = transaction.response->status();
    const bool keeps_method = status == 307 || status == 308;
    if (!keeps_method && status != 301 && status != 302 && status != 303) return false;
    const auto location = transaction.response->headers().get("Location");
    if (!location) return false;
    std::string_view target = *location;
    if (!target.starts_with('/') || target.starts_with("//")) {
        Url url;
        if (parse_url(target, url)) return false;
        const auto host = request.headers().get("Host");
        if (!host || url.authority != *host) return false;
        target = url.target.empty() ? "/" : url.target;
    }
    target = target.substr(0, target.find('#'));
    const bool get = request.method() == "GET" || request.method() == "HEAD";
    if (!keeps_method && !get) {  // as browsers do, and as RFC 9110 15.4 allows
        if (request.set_method("GET")) return false;
        request.clear_data();
    }
    if (request.set_target(target)) return false;
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
    if (core_.abandoned()) return close();
    state_ = State::resting;
    if (!reading_) read_head();
    if (!timing_) start_timing();
    core_.carry_waiting();
}

void ClientConnection::start_timing() noexcept {
    timing_ = true;
    provider::submit(core_.engine(), timer_, &start_timer, nullptr);
}

void ClientConnection::on_timer() noexcept {
    timing_ = false;
    if (!rests()) return let_go();
    // Cancelled for a request that is over already, it begins anew.
    timer_.result() == Errc::timed_out ? close() : start_timing();
}

void ClientConnection::close() noexcept {
    if (state_ != State::closed) {
        const bool connecting = state_ == State::connecting;
        state_ = State::closed;
        if (connecting) {
            reads_.cancel();
        } else {
            connection_->close();
        }
        if (timing_) timer_.cancel();
    }
    let_go();
}

// It is over, or another connection's: nothing of it is in use here.
void ClientConnection::let_transaction_go() noexcept {
    Transaction& transaction = *std::exchange(current_, nullptr);
    transaction.connection = nullptr;
    const bool again =
        then_ == Then::retry || (then_ == Then::follow_redirect && redirect(transaction));
    again ? core_.carry(transaction) : core_.finish(transaction, result_);
}

void ClientConnection::let_go() noexcept {
    if (state_ != State::closed || reading_ || writing_) return;
    if (current_) let_transaction_go();
    if (!timing_) core_.left(*this);
}

}  // namespace uaio::http
