// The part of ResponseSender for a handler or a response that fails: answers 500 if nothing was
// sent, else closes the connection.
#include <uaio/argument_error.h>

#include "base/check.h"
#include "transport/http/server/server_connection.h"

#include <charconv>
#include <exception>
#include <new>
#include <string>
#include <system_error>

namespace uaio::http {

void ResponseSender::on_thrown(Exchange* exchange) noexcept {
    std::error_code failure = Errc::canceled;
    try {
        throw;
    } catch (const std::system_error& error) {
        if (error.code()) failure = error.code();
        note_failure(exchange, failure, "the handler threw an exception", error.what());
    } catch (const std::bad_alloc& error) {
        note_failure(exchange, Errc::not_enough_memory, "the handler threw an exception",
                     error.what());
    } catch (const std::exception& error) {
        note_failure(exchange, failure, "the handler threw an exception", error.what());
    } catch (...) {
        note_failure(exchange, failure, "the handler threw an exception", "not a std::exception");
    }
    if (!exchange) return;
    if (exchange->state_ == Exchange::State::begun) return fail(*exchange, exchange->failure_);
    answer_unsent(*exchange);
}

void ResponseSender::note_failure(Exchange* exchange, std::error_code failure,
                                  std::string_view what, std::string_view detail) noexcept {
    DCHECK(failure);
    EngineCore& core = EngineCore::of(connection_.shard().engine());
    if (exchange) exchange->failure_ = failure;
    try {
        std::string reason = std::string(what).append(": ").append(detail);
        std::string text = "http::Server: ";
        if (exchange) {
            text.append(exchange->request_.method()).append(" ");
            text.append(exchange->request_.target()).append(": ");
            exchange->reason_ = reason;
        }
        core.log(LogLevel::error, text.append(reason));
    } catch (const std::bad_alloc&) {
        core.log(LogLevel::error, what);
    }
}

// False for a status that no final response can have; 500 replaces it.
bool ResponseSender::is_final(Exchange& exchange, int status) noexcept {
    if (status >= 200 && status <= 999) return true;
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, status).ptr;
    note_failure(&exchange, ArgumentErrc::invalid_status, "the status of the response is invalid",
                 std::string_view(digits, static_cast<std::size_t>(end - digits)));
    return false;
}

void ResponseSender::refuse_response(Exchange& exchange, std::error_code error,
                                     std::string_view what, std::string_view detail) noexcept {
    note_failure(&exchange, error, what, detail);
    answer_unsent(exchange);
}

// Called when the serialiser has rejected the response.
void ResponseSender::refuse_message(Exchange& exchange) noexcept {
    refuse_response(exchange, ArgumentErrc::invalid_message, "the response is invalid",
                    "its status, fields and content are contradictory");
}

// True if begin() was called and no byte of the response was sent.
bool ResponseSender::has_pending_head() noexcept {
    Session* const session = connection_.session();
    return !connection_.closed() && connection_.shard().serves() && session &&
           session->sink().has_pending();
}

// Answers 500, and discards the fields and content of the handler's response.
void ResponseSender::answer_unsent(Exchange& exchange) noexcept {
    DCHECK(exchange.failure_ && !exchange.failed_);
    exchange.failed_ = true;  // nothing replaces this page
    exchange.response_.reset();
    if (const auto error = exchange.response_.set_error_page(500)) {
        note_failure(&exchange, error, "the error page cannot be created", error.message());
        exchange.response_.reset();
        static_cast<void>(exchange.response_.set_status(500));  // a valid one, without allocation
    }
    send(exchange);
}

void ResponseSender::fail(Exchange& exchange, std::error_code error) noexcept {
    if (!exchange.failure_) exchange.failure_ = error;
    if (exchange.state_ != Exchange::State::begun) {
        log_access(exchange, 0, 0, exchange.failure_);
        return drop(exchange);
    }
    MessageSink& sink = connection_.session()->sink();
    if (sink.is_writing_head()) {
        sink.cancel_head();
        return wait_for_writes(exchange, Exchange::State::failing);
    }
    break_off(exchange, exchange.failure_);
}

// Breaks off a response that begin() started.
void ResponseSender::break_off(Exchange& exchange, std::error_code error) noexcept {
    MessageSink& sink = connection_.session()->sink();
    DCHECK(error && !sink.is_writing_head());
    if (has_pending_head()) {
        return sink.is_refused() ? refuse_message(exchange) : answer_unsent(exchange);
    }
    const bool begun = sink.has_begun();
    log_access(exchange, begun ? exchange.response_.status() : 0,
               begun ? sink.content().written() : 0, error);
    drop(exchange);
}

// Ends without a response, or without the rest of one.
void ResponseSender::drop(Exchange& exchange) noexcept {
    connection_.requests().stop();
    connection_.release(exchange);
    connection_.close();
}

}  // namespace uaio::http
