#include "transport/http/server_connection.h"

#include "aio/check.h"
#include "transport/http/message_reader.h"
#include "transport/http/target.h"

#include <algorithm>
#include <new>

namespace uaio::http {
namespace {

// What is left of content that no handler wanted is read and dropped for the sake of the next
// request, up to this much; more is cheaper to answer with a new connection.
constexpr std::uint64_t kSkipBytes = 64 * 1024;

// Chunked content is collected in pieces of this size.
constexpr std::size_t kPiece = 16 * 1024;

// What a connection that lingers reads at once.
constexpr std::size_t kDropped = 4096;

}  // namespace

ServerConnection::ServerConnection(ServerLoop& loop, StreamPtr stream)
    : loop_(loop),
      connection_(std::move(stream),
                  {.limits = loop.options().limits, .head_timeout = loop.options().head_timeout}) {}

void ServerConnection::link(ServerConnection*& head) noexcept {
    next_ = head;
    previous_ = &head;
    if (next_) next_->previous_ = &next_;
    head = this;
}

void ServerConnection::unlink(ServerConnection*&) noexcept {
    *previous_ = next_;
    if (next_) next_->previous_ = previous_;
}

bool ServerConnection::content_is_over() noexcept {
    return !session() || session()->source().content_is_over();
}

bool ServerConnection::mid_head() noexcept { return session() && session()->source().mid_head(); }

// ---- reading

Exchange* ServerConnection::free_exchange() noexcept {
    for (const auto& exchange : exchanges_) {
        if (exchange->state_ == Exchange::State::idle) return exchange.get();
    }
    if (exchanges_.size() > loop_.options().pipelined) return nullptr;
    try {
        exchanges_.push_back(std::unique_ptr<Exchange>(new Exchange(*this)));
        return exchanges_.back().get();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void ServerConnection::read_next() noexcept {
    if (current_ || last_ || closed_) return;
    Exchange* const exchange = free_exchange();
    if (!exchange) {
        if (writing_ == 0) close();  // no memory; otherwise one comes back
        return;
    }
    current_ = exchange;
    exchange->state_ = Exchange::State::head;
    exchange->aio_.set_timeout(loop_.options().idle_timeout);
    connection_.read_request(exchange->request_, exchange->aio_);
}

void ServerConnection::on_event(Exchange& exchange) noexcept {
    switch (exchange.state_) {
        case Exchange::State::head: return on_head(exchange);
        case Exchange::State::content: return on_content(exchange);
        case Exchange::State::writing: return on_written(exchange);
        case Exchange::State::lingering: return linger(exchange);
        default: return;
    }
}

void ServerConnection::on_head(Exchange& exchange) noexcept {
    exchange.begun_ = loop_.engine().now();
    const std::error_code error = exchange.aio_.result();
    if (error) return refuse(exchange, error);
    ++requests_;
    if (!loop_.serves()) return fail(exchange);
    if (session()->unknown_expectation()) {
        last_ = true;
        return respond(exchange, 417);
    }
    route(exchange);
}

// Nothing more can be read. What is wrong with a request is answered; an end is not.
void ServerConnection::refuse(Exchange& exchange, std::error_code error) noexcept {
    last_ = true;
    if (error.category() == http_category()) {
        lingers_ = true;
        return respond(exchange, status_for(error));
    }
    const bool begun = exchange.state_ == Exchange::State::content || mid_head();
    if (error == Errc::timed_out && begun) {
        lingers_ = true;
        return respond(exchange, 408);
    }
    release(exchange);
    if (writing_ == 0) close();
}

void ServerConnection::route(Exchange& exchange) noexcept {
    Target target;
    const Request& request = exchange.request_;
    split_target(request.method(), request.target(), target);
    if (target.form == TargetForm::authority || target.form == TargetForm::asterisk) {
        // CONNECT, and OPTIONS for the server itself: only for whoever says so.
        exchange.path_ = "/";
    } else if (const auto error = normalise_path(target.path, exchange.path_)) {
        return respond(exchange, error == Errc::not_enough_memory ? 500 : 400);
    }
    const std::string_view host =
        target.host.empty() ? request.headers().get("Host").value_or("") : target.host;
    const Router::Found found = loop_.router().find(request.method(), host, exchange.path_);
    if (!found.route) {
        if (!found.other_method) return respond(exchange, 404);
        try {
            const std::string allowed = loop_.router().allowed(host, exchange.path_);
            static_cast<void>(exchange.response_.headers().set("Allow", allowed));
        } catch (const std::bad_alloc&) {
            return respond(exchange, 500);
        }
        return respond(exchange, 405);
    }
    exchange.route_ = found.route;
    exchange.rest_ = found.rest;
    if (found.route->streams_ || content_is_over()) return call(exchange);
    collect(exchange);
}

// ---- content

void ServerConnection::collect(Exchange& exchange) noexcept {
    const std::size_t limit = exchange.route_->content_limit_;
    std::string& content = MessageReader::content(exchange.request_);
    const std::uint64_t known = session()->source().content_left();  // 0 if chunked
    const std::size_t have = exchange.collected_;
    if (known > limit || have > limit) {
        last_ = lingers_ = true;
        return respond(exchange, 413);
    }
    const std::size_t wanted = known > 0 ? static_cast<std::size_t>(known) : kPiece;
    try {
        content.resize(have + wanted);
    } catch (const std::bad_alloc&) {
        last_ = lingers_ = true;
        return respond(exchange, 503);
    }
    if (exchange.state_ != Exchange::State::content) {
        exchange.state_ = Exchange::State::content;
        exchange.aio_.set_timeout(kNoTimeout);
        exchange.deadline_ = loop_.engine().now() + loop_.options().content_timeout;
    }
    exchange.aio_.set_deadline(exchange.deadline_);
    static_cast<void>(exchange.aio_.set_iov(content.data() + have, wanted));
    connection_.read_body().read_all(exchange.aio_);
}

void ServerConnection::on_content(Exchange& exchange) noexcept {
    const std::error_code error = exchange.aio_.result();
    std::string& content = MessageReader::content(exchange.request_);
    exchange.collected_ += exchange.aio_.count();
    content.resize(exchange.collected_);
    if (!loop_.serves()) return fail(exchange);
    if (error && error != Errc::end_of_stream) return refuse(exchange, error);
    if (exchange.collected_ > exchange.route_->content_limit_) {
        last_ = lingers_ = true;
        return respond(exchange, 413);
    }
    if (error || content_is_over()) return call(exchange);
    collect(exchange);
}

void ServerConnection::call(Exchange& exchange) noexcept {
    exchange.state_ = Exchange::State::handled;
    calling_ = true;
    try {
        exchange.route_->handler_(exchange);
    } catch (...) {
        // Whatever it did before, only an exchange that is still its own can be answered.
        if (current_ == &exchange && exchange.state_ == Exchange::State::handled) {
            exchange.started_ ? fail(exchange) : respond(exchange, 500);
        }
    }
    calling_ = false;
    let_go();
}

// ---- writing

// RFC 9110 6.6.1. Without memory for it, a response goes without.
void ServerConnection::set_date(Response& response) noexcept {
    if (!response.headers().contains("Date")) {
        static_cast<void>(response.headers().set("Date", loop_.date()));
    }
}

bool ServerConnection::may_stay() noexcept {
    const ServerOptions& options = loop_.options();
    const std::uint64_t limit = options.requests_per_connection;
    if (last_ || loop_.draining() || closed_ || !session()) return false;
    if (limit != 0 && requests_ >= limit) return false;
    if (session()->sink().owes_invitation()) return false;  // nobody knows what the client does
    return content_is_over() || session()->source().content_left() <= kSkipBytes;
}

void ServerConnection::respond(Exchange& exchange, int status) noexcept {
    const std::error_code error = exchange.response_.set_error_page(status);
    if (error) exchange.failed_ = true;
    respond(exchange);
}

void ServerConnection::respond(Exchange& exchange) noexcept {
    const bool stay = may_stay();
    if (!stay) {
        last_ = true;
        if (!content_is_over()) lingers_ = true;
    }
    if (current_ == &exchange) current_ = nullptr;
    exchange.state_ = Exchange::State::writing;
    ++writing_;
    Session* const found = session();
    if (found) found->sink().set_keep_alive(stay);
    exchange.aio_.set_timeout(loop_.send_timeout(exchange.response_.data().size()));
    set_date(exchange.response_);
    connection_.write_response(exchange.response_, exchange.aio_);
    // A request that is there already can be answered in the same turn, and its response leaves
    // with this one. Otherwise one exchange is enough, and its memory stays warm.
    const bool pipelined = found && found->source().has_bytes();
    if (stay && pipelined && connection_.keeps_alive()) read_next();
}

void ServerConnection::on_written(Exchange& exchange) noexcept {
    --writing_;
    const std::error_code error = exchange.aio_.result();
    if (error == Errc::invalid_argument && !exchange.failed_ && exchange.aio_.count() == 0) {
        // The handler's response cannot be sent as it is. Nothing of it was.
        exchange.failed_ = true;
        exchange.response_.reset();
        return respond(exchange, 500);
    }
    loop_.answered();
    if (loop_.serves() && loop_.options().access_log) {
        AccessRecord record;
        record.method = exchange.request_.method();
        record.target = exchange.request_.target();
        record.status = exchange.response_.status();
        record.bytes = exchange.aio_.count();
        record.duration = loop_.engine().now() - exchange.begun_;
        record.error = error;
        loop_.options().access_log(record);
    }
    if (error) {
        last_ = true;
        lingers_ = false;
        release(exchange);
        return close();
    }
    if (last_ && lingers_ && writing_ == 0 && !current_) {
        exchange.state_ = Exchange::State::lingering;
        current_ = &exchange;
        exchange.deadline_ = loop_.engine().now() + loop_.options().linger_timeout;
        return linger(exchange);
    }
    release(exchange);
    after_response();
}

// Reads and drops what the peer still sends, until it stops or its time is over.
void ServerConnection::linger(Exchange& exchange) noexcept {
    const bool first = exchange.collected_ != SIZE_MAX;
    exchange.collected_ = SIZE_MAX;
    if (!first && exchange.aio_.result()) {
        current_ = nullptr;
        release(exchange);
        return close();
    }
    exchange.path_.resize(kDropped);  // it has nothing else to hold any more
    exchange.aio_.set_timeout(kNoTimeout);
    exchange.aio_.set_deadline(exchange.deadline_);
    static_cast<void>(exchange.aio_.set_iov(exchange.path_.data(), kDropped));
    connection_.stream().read(exchange.aio_);
}

void ServerConnection::after_response() noexcept {
    if (writing_ > 0 || current_) return;
    if (last_ || !connection_.keeps_alive()) return close();
    read_next();
}

// ---- content in pieces, and what is no HTTP

void ServerConnection::begin(Exchange& exchange, Aio& aio) noexcept {
    exchange.started_ = true;
    const bool stay = may_stay();
    if (!stay) last_ = true;
    if (Session* const found = session()) found->sink().set_keep_alive(stay);
    Response& response = exchange.response_;
    const int status = response.status();
    if (status >= 200 && !response.has_data() && !response.headers().contains("Content-Length") &&
        !response.headers().contains("Transfer-Encoding")) {
        static_cast<void>(response.headers().set("Transfer-Encoding", "chunked"));
    }
    if (status >= 200) set_date(response);
    connection_.write_response(response, aio);
}

void ServerConnection::end(Exchange& exchange) noexcept {
    if (!session()->sink().end_content()) return fail(exchange);
    if (current_ == &exchange) current_ = nullptr;
    loop_.answered();
    release(exchange);
    after_response();
}

void ServerConnection::fail(Exchange& exchange) noexcept {
    last_ = true;
    release(exchange);
    close();
}

Connection ServerConnection::hijack(Exchange& exchange) noexcept {
    Connection taken = std::move(connection_);
    last_ = closed_ = true;
    release(exchange);
    let_go();
    return taken;
}

// ---- ends

void ServerConnection::drain() noexcept {
    const bool idle =
        writing_ == 0 && current_ && current_->state_ == Exchange::State::head && !mid_head();
    last_ = true;
    if (idle) current_->aio_.cancel();
}

void ServerConnection::abandon() noexcept {
    last_ = true;
    close();
}

void ServerConnection::close() noexcept {
    if (!closed_) {
        closed_ = true;
        connection_.close();
    }
    let_go();
}

void ServerConnection::release(Exchange& exchange) noexcept {
    if (current_ == &exchange) current_ = nullptr;
    exchange.state_ = Exchange::State::idle;
    exchange.response_.reset();
    exchange.collected_ = exchange.rest_ = 0;
    exchange.failed_ = exchange.started_ = false;
    exchange.route_ = nullptr;
}

void ServerConnection::let_go() noexcept {
    if (closed_ && !current_ && writing_ == 0 && !calling_) loop_.left(*this);  // frees this
}

}  // namespace uaio::http
