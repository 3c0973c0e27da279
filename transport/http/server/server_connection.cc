#include "transport/http/server/server_connection.h"

#include <uaio/argument_error.h>
#include <uaio/http_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/format/target.h"
#include "transport/stream/half_close.h"

#include <charconv>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace uaio::http {
namespace {

// Limit of unread content that the server reads and drops to reuse the connection; beyond it, a new
// connection costs less.
constexpr std::uint64_t kSkipBytes = 64 * 1024;

// Size of one read of a lingering connection.
constexpr std::size_t kRestSize = 4096;

// RFC 9110 6.4.1, except for HEAD.
bool is_bodiless(const Request& request, int status) noexcept {
    const bool tunnel = status / 100 == 2 && request.method() == "CONNECT";
    return status < 200 || status == 204 || status == 205 || status == 304 || tunnel;
}

// Ends the Aio by its callback.
template <auto kError>
void end_with(Aio& aio) noexcept {
    Provider::submit(
        aio.engine(), aio, [](Aio& refused) noexcept { Provider::finish(refused, kError); },
        nullptr);
}

}  // namespace

ServerConnection::ServerConnection(ServerShard& loop, StreamPtr stream)
    : loop_(loop),
      connection_(std::move(stream), {.limits = loop.options().limits,
                                      .head_timeout = loop.options().head_timeout,
                                      .send_timeout = loop.options().send_timeout}),
      read_(loop.engine(), [this](Aio&) { on_read(); }) {}

void ServerConnection::start() noexcept {
    Session* const made = connection_.session_for(read_);
    if (!made) return close();
    made->set_provider(&lend_request, this);
    made->set_server(loop_.options().content_timeout);
    read_next();
}

void ServerConnection::link(ServerConnection*& head) noexcept {
    next_ = head;
    previous_ = &head;
    if (next_) next_->previous_ = &next_;
    head = this;
}

void ServerConnection::unlink() noexcept {
    *previous_ = next_;
    if (next_) next_->previous_ = previous_;
}

bool ServerConnection::content_is_over() noexcept {
    return !session() || session()->source().body().is_over();
}

bool ServerConnection::mid_head() noexcept { return session() && session()->source().mid_head(); }

// ---- reading

Request* ServerConnection::lend_request(void* self) noexcept {
    auto& connection = *static_cast<ServerConnection*>(self);
    connection.current_ = connection.loop_.take_exchange(connection);
    return connection.current_ ? &connection.current_->request_ : nullptr;
}

void ServerConnection::read_next() noexcept {
    if (reading_ != Reading::nothing || current_ || last_ || closed_) return;
    if (writing_ > loop_.options().pipelined) return;  // until one of those completes
    reading_ = Reading::head;
    read_.set_timeout(loop_.options().idle_timeout);
    Provider::submit(loop_.engine(), read_, &MessageSource::start<MessageSource::Kind::request>,
                     session());
}

void ServerConnection::on_read() noexcept {
    const std::error_code error = read_.result();
    const Reading ended = std::exchange(reading_, Reading::nothing);
    switch (ended) {
        case Reading::head: return on_head(error);
        case Reading::content: return on_content(error);
        default: return on_rest(error);
    }
}

void ServerConnection::on_head(std::error_code error) noexcept {
    if (error) return refuse(error);
    Exchange& exchange = *current_;
    exchange.begun_ = loop_.engine().now();
    ++requests_;
    if (!loop_.serves()) return fail(exchange);
    if (session()->unknown_expectation()) {
        last_ = true;
        return respond(exchange, 417);
    }
    route(exchange);
}

// Called when no more requests can be read. Answers a malformed request, or a timeout in one that
// has begun, but not the end of the stream.
void ServerConnection::refuse(std::error_code error) noexcept {
    last_ = true;
    const bool begun = current_ || mid_head();
    int status = 0;
    if (error.category() == http_category()) status = status_for(error);
    if (error == Errc::timed_out && begun) status = 408;
    if (status != 0 && !current_) {
        current_ = loop_.take_exchange(*this);
        if (current_) {
            current_->begun_ = loop_.engine().now();
            current_->request_.reset();
        }
    }
    if (status != 0 && current_ && loop_.serves()) {
        lingers_ = true;
        return respond(*current_, status);
    }
    if (current_) release(*current_);
    if (writing_ == 0) return close();
    destroy_if_idle();
}

void ServerConnection::route(Exchange& exchange) noexcept {
    Target target;
    const Request& request = exchange.request_;
    split_target(request.method(), request.target(), target);
    if (target.form == TargetForm::authority || target.form == TargetForm::asterisk) {
        // CONNECT, and OPTIONS for the server itself, match only a route for "/".
        exchange.path_ = "/";
    } else if (const auto error = normalise_path(target.path, exchange.path_)) {
        if (error != Errc::not_enough_memory) return respond(exchange, 400);
        return refuse_response(exchange, error, "the routes cannot be searched", error.message());
    }
    const std::string_view host =
        target.host.empty() ? request.headers().get("Host").value_or("") : target.host;
    const Router::Found found = loop_.router().find(request.method(), host, exchange.path_);
    if (!found.route) {
        if (!found.other_method) return respond(exchange, 404);
        return refuse_method(exchange, host);
    }
    exchange.route_ = found.route;
    exchange.suffix_ = found.rest;
    if (found.route->stream_body_ || content_is_over()) return call(exchange);
    collect(exchange);
}

void ServerConnection::refuse_method(Exchange& exchange, std::string_view host) noexcept {
    std::error_code error;
    try {
        const std::string allowed = loop_.router().allowed(host, exchange.path_);
        error = exchange.response_.headers().set("Allow", allowed);
    } catch (const std::bad_alloc&) {
        error = Errc::not_enough_memory;
    }
    if (!error) return respond(exchange, 405);
    refuse_response(exchange, error, "the Allow field cannot be set", error.message());
}

// ---- content

void ServerConnection::collect(Exchange& exchange) noexcept {
    const std::size_t limit = exchange.route_->content_limit_;
    const std::uint64_t known = session()->source().body().left();  // 0 if chunked
    const std::size_t have = exchange.collected_;
    if (known > limit || have > limit) {
        last_ = lingers_ = true;
        return respond(exchange, 413);
    }
    const std::span<char> room =
        MessageReader::content_room(exchange.request_, have, known > 0 ? known : limit - have);
    if (room.empty()) {
        last_ = lingers_ = true;
        return respond(exchange, 503);
    }
    if (have == 0) {
        read_.set_timeout(kNoTimeout);
        deadline_ = loop_.end_of(loop_.options().content_timeout);
    }
    read_.set_deadline(deadline_);
    read_.set_iov(room.data(), room.size());
    reading_ = Reading::content;
    connection_.read_body().read_all(read_);
}

void ServerConnection::on_content(std::error_code error) noexcept {
    Exchange& exchange = *current_;
    exchange.collected_ += read_.count();
    MessageReader::content(exchange.request_).resize(exchange.collected_);
    if (!loop_.serves()) return fail(exchange);
    if (error && error != Errc::end_of_stream) return refuse(error);
    if (exchange.collected_ > exchange.route_->content_limit_) {
        last_ = lingers_ = true;
        return respond(exchange, 413);
    }
    if (error || content_is_over()) return call(exchange);
    collect(exchange);
}

void ServerConnection::call(Exchange& exchange) noexcept {
    calling_ = true;
    try {
        exchange.route_->handler_(exchange);
    } catch (...) {
        on_thrown(current_ == &exchange ? &exchange : nullptr);
    }
    calling_ = false;
    destroy_if_idle();
}

// ---- writing

bool ServerConnection::may_stay() noexcept {
    const ServerOptions& options = loop_.options();
    const std::uint64_t limit = options.requests_per_connection;
    if (last_ || loop_.draining() || loop_.crowded() || closed_ || !session()) return false;
    if (limit != 0 && requests_ >= limit) return false;
    if (session()->sink().pending().awaits_100_continue())
        return false;  // content may follow or not
    const std::uint64_t left = session()->source().body().left();
    return content_is_over() || (left > 0 && left <= kSkipBytes);  // 0: unknown
}

void ServerConnection::respond(Exchange& exchange, int status) noexcept {
    is_final(exchange, status) ? send_page(exchange, status) : answer_unsent(exchange);
}

void ServerConnection::send_page(Exchange& exchange, int status) noexcept {
    exchange.failed_ = true;  // try no other page
    if (const auto error = exchange.response_.set_error_page(status)) {
        note_failure(&exchange, error, "the error page cannot be created", error.message());
        exchange.response_.reset();
        static_cast<void>(exchange.response_.set_status(500));
    }
    send(exchange);
}

void ServerConnection::respond(Exchange& exchange) noexcept {
    const Response& response = exchange.response_;
    if (!is_final(exchange, response.status())) return answer_unsent(exchange);
    const bool lacks_content = is_streamed(response) && exchange.request_.method() != "HEAD" &&
                               !is_bodiless(exchange.request_, response.status());
    if (!lacks_content) return send(exchange);
    refuse_response(exchange, ArgumentErrc::invalid_message, "the response is invalid",
                    "its fields announce content that is missing");
}

// Reads no request after this one. If the connection closed at once, a client that is still
// sending, or has not yet learned of the end, would lose the response by a reset (RFC 9112 9.6).
void ServerConnection::end_with_this() noexcept {
    last_ = true;
    if (!session()) return;
    MessageSource& source = session()->source();
    // When descriptors run short, does not wait for a client that has sent nothing more.
    const bool may_send = source.keeps_alive() && !loop_.crowded();
    if (!source.body().is_over() || source.has_bytes() || may_send) lingers_ = true;
}

void ServerConnection::send(Exchange& exchange) noexcept {
    exchange.state_ = Exchange::State::answered;
    const bool stay = may_stay();
    if (!stay) end_with_this();
    if (current_ == &exchange) current_ = nullptr;
    ++writing_;
    Session* const found = session();
    if (found) {
        found->sink().set_keep_alive(stay);
        found->sink().set_date(loop_.date());
    }
    Response& response = exchange.response_;
    connection_.submit(exchange.aio_, &MessageSink::start<MessageSink::Kind::whole>, &response);
    // A request that has already arrived can be answered in the same turn, and both responses are
    // sent together. Otherwise one exchange suffices, and its memory stays warm.
    const bool pipelined = found && found->source().has_bytes();
    if (stay && pipelined && connection_.keeps_alive()) read_next();
}

void ServerConnection::on_written(Exchange& exchange) noexcept {
    --writing_;
    if (exchange.state_ == Exchange::State::ending) return complete(exchange);
    if (exchange.state_ == Exchange::State::failing) return break_off(exchange, exchange.failure_);
    const std::error_code error = exchange.aio_.result();
    if (error && !exchange.failed_ && exchange.aio_.count() == 0) {
        // The handler's response is invalid, or memory for its head is lacking.
        if (error == ArgumentErrc::invalid_message) return refuse_message(exchange);
        if (error == Errc::not_enough_memory) {
            return refuse_response(exchange, error, "the response is invalid", error.message());
        }
    }
    const bool sent = !error || exchange.aio_.count() > 0;
    log_access(exchange, sent ? exchange.response_.status() : 0, exchange.aio_.count(),
               error ? error : exchange.failure_);
    if (error) {
        last_ = true;
        lingers_ = false;
        release(exchange);
        return close();
    }
    release(exchange);
    after_response();
}

void ServerConnection::log_access(const Exchange& exchange, int status, std::uint64_t bytes,
                                  std::error_code error) noexcept {
    if (status != 0) loop_.answered();
    if (!loop_.serves() || !loop_.options().access_log) return;
    loop_.options().access_log({.method = exchange.request_.method(),
                                .target = exchange.request_.target(),
                                .status = status,
                                .bytes = bytes,
                                .duration = loop_.engine().now() - exchange.begun_,
                                .error = error,
                                .reason = exchange.reason_});
}

// Shuts down sending, then reads and drops bytes of the peer until it closes or the time limit is
// reached. Later bytes reset the connection.
void ServerConnection::linger() noexcept {
    if (!discarded_) {
        discarded_.reset(new (std::nothrow) char[kRestSize]);
        if (!discarded_) return close();
        read_.set_timeout(kNoTimeout);
        deadline_ = loop_.end_of(loop_.options().linger_timeout);
        if (HalfClose* const half = half_close_of(connection_.stream())) half->end_output();
    }
    read_.set_deadline(deadline_);
    read_.set_iov(discarded_.get(), kRestSize);
    reading_ = Reading::rest;
    connection_.stream().read(read_);
}

void ServerConnection::on_rest(std::error_code error) noexcept { error ? close() : linger(); }

void ServerConnection::after_response() noexcept {
    if (writing_ > 0 || current_ || reading_ != Reading::nothing) return destroy_if_idle();
    const bool over = last_ || !connection_.keeps_alive();
    if (!over) return read_next();
    lingers_ && !closed_ ? linger() : close();
}

// ---- content in pieces, and hijacking

void ServerConnection::begin(Exchange& exchange, Aio& aio) noexcept {
    exchange.state_ = Exchange::State::begun;
    session()->sink().expect_head();
    const int status = exchange.response_.status();
    if (status != 101 && !is_final(exchange, status)) {
        return end_with<ArgumentErrc::invalid_status>(aio);
    }
    const bool stay = may_stay();
    if (!stay) end_with_this();
    session()->sink().set_keep_alive(stay);
    session()->sink().set_date(loop_.date());
    Response& response = exchange.response_;
    if (!is_bodiless(exchange.request_, status) && !response.has_data() &&
        !response.headers().contains("Content-Length") &&
        !response.headers().contains("Transfer-Encoding")) {
        if (response.headers().set("Transfer-Encoding", "chunked")) {
            return end_with<Errc::not_enough_memory>(aio);
        }
    }
    Provider::submit(loop_.engine(), aio, &MessageSink::start<MessageSink::Kind::head>, session(),
                     &response);
}

// The handler's writes may still be in progress; the response ends after them.
void ServerConnection::end(Exchange& exchange) noexcept {
    if (!session()->sink().idle()) return wait_for_writes(exchange, Exchange::State::ending);
    complete(exchange);
}

void ServerConnection::wait_for_writes(Exchange& exchange, Exchange::State state) noexcept {
    exchange.state_ = state;
    if (current_ == &exchange) current_ = nullptr;
    ++writing_;
    Provider::submit(loop_.engine(), exchange.aio_, &MessageSink::start<MessageSink::Kind::flush>,
                     session());
}

void ServerConnection::complete(Exchange& exchange) noexcept {
    MessageSink& sink = session()->sink();
    if (has_pending()) {
        if (sink.is_refused()) return refuse_message(exchange);
        if (exchange.failure_) return answer_unsent(exchange);  // begin() refused the status
        return refuse_response(exchange, ArgumentErrc::wrong_message_state, "end()",
                               "begin() has sent nothing of the response");
    }
    if (!sink.has_head()) return break_off(exchange, Errc::closed);
    if (!sink.body().end()) {
        note_failure(&exchange, Errc::truncated, "end()", "content is missing");
        return break_off(exchange, Errc::truncated);
    }
    log_access(exchange, exchange.response_.status(), sink.body().written(), exchange.failure_);
    release(exchange);
    after_response();
}

Connection ServerConnection::hijack(Exchange& exchange) noexcept {
    if (session()) session()->set_no_server();
    Connection taken = std::move(connection_);
    last_ = closed_ = true;
    release(exchange);
    destroy_if_idle();
    return taken;
}

// ---- ends

void ServerConnection::drain() noexcept {
    const bool idle = writing_ == 0 && reading_ == Reading::head && !mid_head();
    last_ = true;
    if (idle) read_.cancel();
}

void ServerConnection::abandon() noexcept {
    last_ = true;
    close();
}

void ServerConnection::drop_exchange() noexcept { delete std::exchange(current_, nullptr); }

void ServerConnection::close() noexcept {
    if (!closed_) {
        closed_ = true;
        connection_.close();
    }
    destroy_if_idle();
}

void ServerConnection::release(Exchange& exchange) noexcept {
    if (current_ == &exchange) current_ = nullptr;
    loop_.give_back(exchange);
}

void ServerConnection::destroy_if_idle() noexcept {
    if (closed_ && !current_ && !pending() && !calling_) loop_.left(*this);  // frees this
}

}  // namespace uaio::http
