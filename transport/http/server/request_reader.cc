#include "transport/http/server/request_reader.h"

#include <uaio/http_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/deadline.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/format/target.h"
#include "transport/http/server/server_connection.h"
#include "transport/stream/half_close.h"

#include <new>
#include <string>
#include <utility>

namespace uaio::http {
namespace {

// Limit of unread content that the server reads and drops to reuse the connection; beyond it, a new
// connection costs less.
constexpr std::uint64_t kSkipBytes = 64 * 1024;

// Size of one read of a lingering connection.
constexpr std::size_t kRestSize = 4096;

// Requests that a connection answers before others proceed.
constexpr int kRequestsInARow = 16;

}  // namespace

bool RequestReader::content_is_over() noexcept {
    Session* const session = connection_.session();
    return !session || session->source().content().is_over();
}

bool RequestReader::mid_head() noexcept {
    Session* const session = connection_.session();
    return session && session->source().mid_head();
}

// ---- heads

RequestReader::RequestReader(ServerConnection& connection) noexcept
    : connection_(connection),
      idle_end_(
          connection.shard().core(),
          [](void* self, std::error_code reason) noexcept {
              auto& reader = *static_cast<RequestReader*>(self);
              if (!reader.awaits_bytes()) return;
              Counters& counters = reader.connection_.shard().core().counters();
              counters.cancels.add();
              if (reason == make_error_code(Errc::timed_out)) counters.timeouts.add();
              reader.stop_awaiting();
          },
          this) {}

void RequestReader::start() noexcept {
    idle_receive_ = idle_receive_of(connection_.connection().stream());
    read_next();
}

void RequestReader::serve_heads_of(Session& session) noexcept {
    DCHECK(session.core().on_thread() && session.is_server());
    session.set_reader(
        &lend_request,
        [](void* self, std::error_code error) noexcept {
            static_cast<RequestReader*>(self)->on_awaited(error);
        },
        this);
}

Request* RequestReader::lend_request(void* self, const RequestHead& head) noexcept {
    auto& reader = *static_cast<RequestReader*>(self);
    DCHECK(reader.reading_ == Reading::head && !reader.current_);
    reader.idle_end_ns_ = 0;
    reader.current_ = reader.connection_.shard().take_exchange(reader.connection_);
    if (!reader.current_) return nullptr;
    // Without its Server a shard has no routes, and the request gets no answer.
    if (reader.connection_.shard().serves()) reader.find_route(head);
    return &reader.current_->request_;
}

// The parser has split the target, and found the host.
void RequestReader::find_route(const RequestHead& head) noexcept {
    std::string& path = current_->path_;
    Router::Found& found = connection_.lent().found;
    std::error_code& path_error = connection_.lent().path_error;
    if (path_error) path_error.clear();
    const bool fixed_path =
        head.parts.form == TargetForm::authority || head.parts.form == TargetForm::asterisk;
    RouteCache& last = connection_.shard().last_route();
    if (!fixed_path && last.find(head, path, found)) return;
    found = {};
    if (fixed_path) {
        // CONNECT, and OPTIONS for the server itself, match only a route for "/".
        path = "/";
    } else if ((path_error = normalise_path(head.parts.path, path))) {
        return;
    }
    found = connection_.shard().router().find(head.method, head.host, path);
    if (!fixed_path) last.keep(head, path, found);
}

bool RequestReader::may_read() const noexcept {
    if (reading() || current_ || last_ || connection_.closed()) return false;
    const std::size_t limit = connection_.shard().options().pipelined;
    return connection_.responses().pending() <= limit;  // otherwise until one completes
}

// A handler never runs inside a call of another one or of the program: the head of a request that
// has been received is taken by the loop of serve(), or in a callback.
void RequestReader::read_next() noexcept {
    if (serving_) {
        more_ = true;
        return;
    }
    if (!may_read()) return;
    if (await_bytes()) return connection_.rest();
    if (!connection_.take_session()) return connection_.close();
    if (connection_.session()->source().lacks_bytes() && await_head()) return;
    read_in_callback();
}

bool RequestReader::await_head() noexcept {
    if (await_bytes()) return true;
    if (!connection_.session()->source().await_head(nullptr, idle_end_ns())) return false;
    reading_ = Reading::head;
    return true;
}

// Only the first byte: the rest of a head that came in part is read by the session.
bool RequestReader::await_bytes() noexcept {
    Session* const session = connection_.session();
    if (!idle_receive_ || (session && !session->source().lacks_bytes())) return false;
    const auto received = [](void* self, std::error_code error, std::span<char> bytes) noexcept {
        static_cast<RequestReader*>(self)->on_bytes(error, bytes);
    };
    if (!idle_receive_->await_bytes(received, this)) return false;
    reading_ = Reading::bytes;
    idle_end_.move(idle_end_ns());
    return true;
}

// Bytes that begin no head do not prolong the time.
std::int64_t RequestReader::idle_end_ns() noexcept {
    if (idle_end_ns_ != 0) return idle_end_ns_;
    ServerShard& shard = connection_.shard();
    const std::chrono::nanoseconds timeout = shard.options().idle_timeout;
    idle_end_ns_ = timeout == kNoTimeout ? TimerNode::kNoDeadline
                                         : deadline_after(shard.core().now_ns(), timeout);
    return idle_end_ns_;
}

// on_bytes() is called with an error, or with bytes that came all the same.
void RequestReader::stop_awaiting() noexcept {
    DCHECK(awaits_bytes());
    last_ = true;
    idle_receive_->stop_awaiting();
}

void RequestReader::on_bytes(std::error_code error, std::span<char> bytes) noexcept {
    DCHECK(awaits_bytes() && !serving_ && !current_);
    reading_ = Reading::nothing;
    idle_end_.clear();
    serving_ = true;
    const bool ends = last_ || connection_.closed() || !connection_.shard().serves();
    if (!error && ends) error = Errc::canceled;
    if (!error && !connection_.take_session()) error = Errc::not_enough_memory;
    if (error) {
        on_head(error);
    } else {
        connection_.session()->source().buffer().lend(bytes);
        more_ = true;
    }
    serve_received();
    // The bytes are the stream's: those that no handler has taken yet move.
    Session* const session = connection_.session();
    if (session && !session->source().buffer().keep()) connection_.close();
    connection_.rest();
    serving_ = false;
    connection_.destroy_if_idle();
}

// Behind other reads, or in a callback of its own.
void RequestReader::read_in_callback() noexcept {
    Session& session = *connection_.session();
    const bool alone = session.source().may_take_head();
    reading_ = alone ? Reading::turn : Reading::head;
    Starter starter = &MessageSource::start<MessageSource::Kind::request>;
    if (alone) starter = [](Aio& aio) noexcept { Provider::finish(aio); };
    Provider::submit(connection_.shard().engine(), connection_.reads(), starter, &session);
}

// Answers requests that have been received, until one needs bytes, or time of its handler; after
// some of them, lets other connections proceed.
void RequestReader::serve() noexcept {
    serve_received();
    connection_.rest();
    serving_ = false;
    connection_.destroy_if_idle();
}

void RequestReader::serve_received() noexcept {
    DCHECK(serving_);
    for (int left = kRequestsInARow; std::exchange(more_, false) && may_read(); --left) {
        MessageSource& source = connection_.session()->source();
        if (left == 0 || !source.may_take_head()) {
            read_in_callback();
            break;
        }
        std::error_code error;
        reading_ = Reading::head;
        const bool taken = source.take_head_if_received(nullptr, error);
        reading_ = Reading::nothing;
        if (!taken) {
            const bool drained = connection_.shard().draining() && !mid_head();
            if (!drained && await_head()) break;
            error = drained ? Errc::canceled : Errc::not_enough_memory;
        }
        on_head(error);
    }
    more_ = false;
}

void RequestReader::drain() noexcept {
    const bool idle =
        connection_.responses().pending() == 0 && reading_ == Reading::head && !mid_head();
    if (reading_ == Reading::turn) return;  // serve() notices
    last_ = true;
    if (awaits_bytes()) return connection_.rest();
    if (!idle) return;
    if (connection_.reads().busy()) return connection_.reads().cancel();
    Session& session = *connection_.session();
    session.source().stop_awaiting();
    Provider::submit(
        connection_.shard().engine(), connection_.reads(),
        [](Aio& aio) noexcept { Provider::finish(aio, Errc::canceled); }, &session);
}

void RequestReader::drop_exchange() noexcept {
    DCHECK(!reading() && !serving_);
    delete std::exchange(current_, nullptr);
}

void RequestReader::on_awaited(std::error_code error) noexcept {
    DCHECK(reading_ == Reading::head && !serving_);
    reading_ = Reading::nothing;
    serving_ = true;
    on_head(error);
    serve();
}

void RequestReader::on_read() noexcept {
    DCHECK(reading() && (reading_ == Reading::content) == (current_ && current_->route_));
    DCHECK(!serving_);
    const std::error_code error = connection_.reads().result();
    const Reading ended = std::exchange(reading_, Reading::nothing);
    if (ended == Reading::rest) return error ? connection_.close() : linger();
    serving_ = true;
    switch (ended) {
        case Reading::head: on_head(error); break;
        case Reading::content: on_content(error); break;
        default: error ? refuse(error) : read_next(); break;
    }
    serve();
}

void RequestReader::on_head(std::error_code error) noexcept {
    if (error) return refuse(error);
    Exchange& exchange = *current_;
    DCHECK(exchange.state_ == Exchange::State::open && exchange.collected_ == 0);
    ServerShard& shard = connection_.shard();
    if (shard.options().access_log) exchange.begun_ = shard.engine().now();
    ++count_;
    if (!shard.serves()) return connection_.responses().fail(exchange);
    if (connection_.session()->unknown_expectation()) {
        last_ = true;
        return connection_.responses().respond(exchange, 417);
    }
    route(exchange);
}

// Called when no more requests can be read. Answers a malformed request, or a timeout in one that
// has begun, but not the end of the stream.
void RequestReader::refuse(std::error_code error) noexcept {
    last_ = true;
    ServerShard& shard = connection_.shard();
    const bool begun = current_ || mid_head();
    int status = 0;
    if (error.category() == http_category()) status = status_for(error);
    if (error == Errc::timed_out && begun) status = 408;
    if (status != 0 && !current_) {
        current_ = shard.take_exchange(connection_);
        if (current_) {
            current_->begun_ = shard.engine().now();
            current_->request_.reset();
            if (Session* const session = connection_.session()) {
                session->sink().pending().forget_last();  // its method was another request's
            }
        }
    }
    if (status != 0 && current_ && shard.serves()) {
        lingers_ = true;
        return connection_.responses().respond(*current_, status);
    }
    if (current_) connection_.release(*current_);
    if (connection_.responses().pending() == 0) return connection_.close();
    connection_.destroy_if_idle();
}

void RequestReader::route(Exchange& exchange) noexcept {
    const Router::Found& found = connection_.lent().found;
    if (!found.route) [[unlikely]]
        return refuse_target(exchange);
    DCHECK(found.rest <= exchange.path_.size() && !connection_.lent().path_error);
    exchange.route_ = found.route;
    exchange.suffix_ = found.rest;
    if (found.route->stream_content_ || content_is_over()) return call(exchange);
    collect(exchange);
}

void RequestReader::refuse_target(Exchange& exchange) noexcept {
    ResponseSender& responses = connection_.responses();
    const std::error_code error = connection_.lent().path_error;
    if (error == Errc::not_enough_memory) {
        return responses.refuse_response(exchange, error, "the routes cannot be searched",
                                         error.message());
    }
    if (error) return responses.respond(exchange, 400);
    if (!connection_.lent().found.other_method) return responses.respond(exchange, 404);
    refuse_method(exchange);
}

void RequestReader::refuse_method(Exchange& exchange) noexcept {
    std::error_code error;
    const Request& request = exchange.request_;
    Target target;
    split_target(request.method(), request.target(), target);
    const std::string_view host =
        target.host.empty() ? request.headers().get("Host").value_or("") : target.host;
    try {
        const std::string allowed = connection_.shard().router().allowed(host, exchange.path_);
        error = exchange.response_.headers().set("Allow", allowed);
    } catch (const std::bad_alloc&) {
        error = Errc::not_enough_memory;
    }
    ResponseSender& responses = connection_.responses();
    if (!error) return responses.respond(exchange, 405);
    responses.refuse_response(exchange, error, "the Allow field cannot be set", error.message());
}

// ---- content

void RequestReader::collect(Exchange& exchange) noexcept {
    DCHECK(current_ == &exchange && !reading());
    const std::size_t limit = exchange.route_->content_limit_;
    const std::uint64_t known = connection_.session()->source().content().left();  // 0 if chunked
    const std::size_t have = exchange.collected_;
    if (known > limit || have > limit) return refuse_content(exchange, 413);
    const std::span<char> room =
        MessageReader::content_room(exchange.request_, have, known > 0 ? known : limit - have);
    if (room.empty()) return refuse_content(exchange, 503);
    Aio& read = connection_.reads();
    Clock::time_point& deadline = connection_.lent().deadline;
    if (have == 0) {
        ServerShard& shard = connection_.shard();
        read.set_timeout(kNoTimeout);
        deadline = shard.end_of(shard.options().content_timeout);
    }
    read.set_deadline(deadline);
    read.set_iov(room.data(), room.size());
    reading_ = Reading::content;
    connection_.connection().read_content().read_all(read);
}

// Leaves content unread.
void RequestReader::refuse_content(Exchange& exchange, int status) noexcept {
    last_ = lingers_ = true;
    connection_.responses().respond(exchange, status);
}

void RequestReader::on_content(std::error_code error) noexcept {
    Exchange& exchange = *current_;
    exchange.collected_ += connection_.reads().count();
    DCHECK(exchange.collected_ <= MessageReader::content(exchange.request_).size());
    MessageReader::content(exchange.request_).resize(exchange.collected_);
    if (!connection_.shard().serves()) return connection_.responses().fail(exchange);
    if (error && error != Errc::end_of_stream) return refuse(error);
    if (exchange.collected_ > exchange.route_->content_limit_) return refuse_content(exchange, 413);
    if (error || content_is_over()) return call(exchange);
    collect(exchange);
}

void RequestReader::call(Exchange& exchange) noexcept {
    DCHECK(current_ == &exchange && exchange.state_ == Exchange::State::open);
    DCHECK(serving_ && connection_.shard().serves());
    try {
        exchange.route_->handler_(exchange);
    } catch (...) {
        connection_.responses().on_thrown(current_ == &exchange ? &exchange : nullptr);
    }
}

// ---- the last request

bool RequestReader::may_stay() noexcept {
    ServerShard& shard = connection_.shard();
    Session* const session = connection_.session();
    const std::uint64_t limit = shard.options().requests_per_connection;
    if (last_ || shard.draining() || shard.crowded() || connection_.closed() || !session)
        return false;
    if (limit != 0 && count_ >= limit) return false;
    // Content may follow or not.
    if (session->sink().pending().awaits_100_continue()) return false;
    const std::uint64_t left = session->source().content().left();
    return content_is_over() || (left > 0 && left <= kSkipBytes);  // 0: unknown
}

// If the connection closed at once, a client that is still sending, or has not yet learned of the
// end, would lose the response by a reset (RFC 9112 9.6).
bool RequestReader::stay_or_stop() noexcept {
    if (may_stay()) return true;
    last_ = true;
    if (Session* const session = connection_.session()) {
        MessageSource& source = session->source();
        // When descriptors run short, does not wait for a client that has sent nothing more.
        const bool may_send = source.keeps_alive() && !connection_.shard().crowded();
        if (!source.content().is_over() || !source.buffer().empty() || may_send) lingers_ = true;
    }
    return false;
}

void RequestReader::linger() noexcept {
    DCHECK(last_ && !reading() && !current_);
    Aio& read = connection_.reads();
    Stream& stream = connection_.connection().stream();
    ServerSession& lent = connection_.lent();
    if (!lent.discarded) {
        lent.discarded.reset(new (std::nothrow) char[kRestSize]);
        if (!lent.discarded) return connection_.close();
        read.set_timeout(kNoTimeout);
        lent.deadline = connection_.shard().end_of(connection_.shard().options().linger_timeout);
        if (HalfClose* const half = half_close_of(stream)) half->end_output();
    }
    read.set_deadline(lent.deadline);
    read.set_iov(lent.discarded.get(), kRestSize);
    reading_ = Reading::rest;
    stream.read(read);
}

}  // namespace uaio::http
