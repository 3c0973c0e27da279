#include "transport/http/server/response_sender.h"

#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/http/format/serialiser.h"
#include "transport/http/server/fixed_response.h"
#include "transport/http/server/server_connection.h"
#include "transport/stream/starters.h"

#include <new>

namespace uaio::http {
namespace {

// The most content of a fixed response that is copied behind its head, once a second.
constexpr std::size_t kWholeContent = 1024;

// RFC 9110 6.4.1, except for HEAD.
bool forbids_content(const Request& request, int status) noexcept {
    const bool tunnel = status / 100 == 2 && request.method() == "CONNECT";
    return status < 200 || status == 204 || status == 205 || status == 304 || tunnel;
}

}  // namespace

// ---- the responses being written

void ResponseSender::cancel_first(std::error_code reason) noexcept {
    if (first_) Provider::cancel(first_->aio_, reason);
}

std::int64_t ResponseSender::send_end_ns(std::size_t bytes) noexcept {
    ServerShard& shard = connection_.shard();
    const std::chrono::nanoseconds timeout = shard.send_timeout(bytes);
    if (timeout == kNoTimeout) return TimerNode::kNoDeadline;
    return deadline_after(shard.core().now_ns(), timeout);
}

// Only the first one is timed: the others wait for it, and their deadlines are later unless it is
// much larger.
inline void ResponseSender::begin_write(Exchange& exchange, std::int64_t end_ns) noexcept {
    DCHECK((first_ == nullptr) == (pending_ == 0) && *end_ == nullptr);
    exchange.next_ = nullptr;
    exchange.send_end_ns_ = end_ns;
    if (!first_) connection_.lent().send_end.move(end_ns);
    *end_ = &exchange;
    end_ = &exchange.next_;
    ++pending_;
}

inline void ResponseSender::end_write(Exchange& exchange) noexcept {
    DCHECK(pending_ > 0 && first_);
    --pending_;
    Exchange** at = &first_;
    while (*at != &exchange)
        at = &(*at)->next_;
    *at = exchange.next_;
    if (end_ == &exchange.next_) end_ = at;
    if (at != &first_) return;
    connection_.lent().send_end.move(first_ ? first_->send_end_ns_ : TimerNode::kNoDeadline);
}

// ---- whole responses

void ResponseSender::respond(Exchange& exchange, int status) noexcept {
    DCHECK(exchange.state_ == Exchange::State::open);
    if (!is_final(exchange, status)) return answer_unsent(exchange);
    if (const auto error = exchange.response_.set_error_page(status)) {
        return refuse_response(exchange, error, "the error page cannot be created",
                               error.message());
    }
    send(exchange);  // on_written() replaces a page that the serialiser rejects
}

void ResponseSender::respond(Exchange& exchange) noexcept {
    DCHECK(exchange.state_ == Exchange::State::open);
    const Response& response = exchange.response_;
    if (!is_final(exchange, response.status())) return answer_unsent(exchange);
    const bool lacks_content = is_streamed(response) && exchange.request_.method() != "HEAD" &&
                               !forbids_content(exchange.request_, response.status());
    if (!lacks_content) return send(exchange);
    refuse_response(exchange, ArgumentErrc::invalid_message, "the response is invalid",
                    "its fields announce content that is missing");
}

void ResponseSender::respond(Exchange& exchange, const FixedResponse& fixed) {
    DCHECK(exchange.state_ == Exchange::State::open && connection_.session());
    const bool stay = connection_.requests().stay_or_stop();
    if (stay && connection_.session()->sink().pending().next().is_usual()) {
        static_cast<void>(exchange.response_.set_status(200));  // for the access log
        return send(exchange, stay, {fixed.head(), fixed.content()});
    }
    exchange.response_ = fixed.response();
    respond(exchange);
}

bool ResponseSender::respond_whole(Exchange& exchange, const FixedResponse& fixed) {
    DCHECK(exchange.state_ == Exchange::State::open && connection_.session());
    if (fixed.content().size() > kWholeContent || !connection_.requests().stay_or_stop() ||
        !connection_.session()->sink().pending().next().is_usual()) {
        return false;
    }
    ServerShard& shard = connection_.shard();
    const std::string_view date = shard.date();
    const bool kept =
        exchange.whole_number_ == fixed.number() && exchange.whole_second_ == shard.date_second();
    if (!kept) {
        exchange.whole_number_ = 0;
        if (complete_head(fixed.head(), date, exchange.whole_)) throw std::bad_alloc();
        exchange.whole_ += fixed.content();
        exchange.whole_number_ = fixed.number();
        exchange.whole_second_ = shard.date_second();
    }
    static_cast<void>(exchange.response_.set_status(200));  // for the access log
    send(exchange, true, {.head = exchange.whole_, .is_whole = true});
    return true;
}

void ResponseSender::send(Exchange& exchange) noexcept {
    send(exchange, connection_.requests().stay_or_stop(), {});
}

void ResponseSender::send(Exchange& exchange, bool stay, const PreparedResponse& ready) noexcept {
    DCHECK(exchange.connection_ == &connection_ && exchange.state_ != Exchange::State::over);
    DCHECK(connection_.session());  // only the failure of a sent response can follow hijack()
    exchange.state_ = Exchange::State::answered;
    connection_.requests().leave(exchange);
    std::size_t bytes = ready.head.size() + ready.content.size();
    if (bytes == 0) {
        const Response& response = exchange.response_;
        bytes = response.content().size() + response.headers().text().size();
    }
    begin_write(exchange, send_end_ns(bytes));
    Session& session = *connection_.session();
    if (!ready.is_whole || !session.sink().write_whole(exchange.aio_, ready.head)) {
        session.sink().prepare(stay, connection_.shard().date(), ready);
        Provider::submit(connection_.shard().engine(), exchange.aio_,
                         &MessageSink::start<MessageSink::Kind::whole>, &session,
                         &exchange.response_);
    }
    // A request that has already arrived can be answered in the same turn, and both responses are
    // sent together. Otherwise one exchange suffices, and its memory stays warm.
    const bool pipelined = !session.source().buffer().empty();
    if (stay && pipelined && connection_.connection().keeps_alive())
        connection_.requests().read_next();
}

void ResponseSender::on_written(Exchange& exchange) noexcept {
    DCHECK(connection_.requests().current() != &exchange);
    end_write(exchange);
    if (exchange.state_ == Exchange::State::ending) return complete(exchange);
    if (exchange.state_ == Exchange::State::failing) return break_off(exchange, exchange.failure_);
    DCHECK(exchange.state_ == Exchange::State::answered);
    const std::error_code error = exchange.aio_.result();
    const bool unsent = exchange.aio_.count() == 0;
    if (error && unsent && !exchange.failed_ && connection_.session()) {
        // The handler's response is invalid, or memory for its head is lacking. After hijack() the
        // connection is no longer the server's, and nothing replaces the response.
        if (error == ArgumentErrc::invalid_message) return refuse_message(exchange);
        if (error == Errc::not_enough_memory) {
            return refuse_response(exchange, error, "the response is invalid", error.message());
        }
    }
    log_access(exchange, error && unsent ? 0 : exchange.response_.status(), exchange.aio_.count(),
               error ? error : exchange.failure_);
    if (error) return drop(exchange);
    connection_.release(exchange);
    connection_.go_on();
}

// ---- content in pieces

void ResponseSender::begin(Exchange& exchange, Aio& aio) noexcept {
    DCHECK(connection_.requests().current() == &exchange);
    Session& session = *connection_.session();
    exchange.state_ = Exchange::State::begun;
    session.sink().expect_head();
    const int status = exchange.response_.status();
    if (status != 101 && !is_final(exchange, status)) {
        return refuse<ArgumentErrc::invalid_status>(aio);
    }
    session.sink().prepare(connection_.requests().stay_or_stop(), connection_.shard().date(), {});
    Response& response = exchange.response_;
    if (!forbids_content(exchange.request_, status) && !response.has_content() &&
        !response.headers().contains("Content-Length") &&
        !response.headers().contains("Transfer-Encoding")) {
        if (response.headers().set("Transfer-Encoding", "chunked")) {
            return refuse<Errc::not_enough_memory>(aio);
        }
    }
    Provider::submit(connection_.shard().engine(), aio,
                     &MessageSink::start<MessageSink::Kind::head>, &session, &response);
}

// The handler's writes may still be in progress; the response ends after them.
void ResponseSender::end(Exchange& exchange) noexcept {
    if (!connection_.session()->sink().idle())
        return wait_for_writes(exchange, Exchange::State::ending);
    complete(exchange);
}

void ResponseSender::wait_for_writes(Exchange& exchange, Exchange::State state) noexcept {
    DCHECK(exchange.state_ == Exchange::State::begun && !exchange.aio_.busy());
    exchange.state_ = state;
    connection_.requests().leave(exchange);
    begin_write(exchange, TimerNode::kNoDeadline);
    Provider::submit(connection_.shard().engine(), exchange.aio_,
                     &MessageSink::start<MessageSink::Kind::flush>, connection_.session());
}

void ResponseSender::complete(Exchange& exchange) noexcept {
    MessageSink& sink = connection_.session()->sink();
    DCHECK(!sink.is_writing_head());
    if (has_pending_head()) {
        if (sink.is_refused()) return refuse_message(exchange);
        if (exchange.failure_) return answer_unsent(exchange);  // begin() refused the status
        return refuse_response(exchange, ArgumentErrc::wrong_message_state, "end()",
                               "begin() has sent nothing of the response");
    }
    if (!sink.has_head()) return break_off(exchange, Errc::closed);
    if (!sink.content().end()) {
        note_failure(&exchange, Errc::truncated, "end()", "content is missing");
        return break_off(exchange, Errc::truncated);
    }
    log_access(exchange, exchange.response_.status(), sink.content().written(), exchange.failure_);
    connection_.release(exchange);
    connection_.go_on();
}

void ResponseSender::log_access(const Exchange& exchange, int status, std::uint64_t bytes,
                                std::error_code error) noexcept {
    ServerShard& shard = connection_.shard();
    DCHECK(shard.core().on_thread() && exchange.state_ != Exchange::State::over);
    if (status != 0) shard.answered();
    if (shard.options().access_log) write_log(exchange, status, bytes, error);
}

void ResponseSender::write_log(const Exchange& exchange, int status, std::uint64_t bytes,
                               std::error_code error) noexcept {
    ServerShard& shard = connection_.shard();
    if (!shard.serves()) return;
    shard.options().access_log({.method = exchange.request_.method(),
                                .target = exchange.request_.target(),
                                .status = status,
                                .bytes = bytes,
                                .duration = shard.engine().now() - exchange.begun_,
                                .error = error,
                                .reason = exchange.reason_});
}

}  // namespace uaio::http
