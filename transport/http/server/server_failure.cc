// What becomes of a request whose handler, or whose response, fails: 500 where nothing was sent,
// else the end of the connection.
#include <uaio/argument_error.h>

#include "transport/http/server/server_connection.h"

#include <charconv>
#include <exception>
#include <new>
#include <string>
#include <system_error>

namespace uaio::http {

// Inside of a handler's catch. Only an exchange that is still the handler's can be answered.
void ServerConnection::on_thrown(Exchange* exchange) noexcept {
    std::error_code failure = Errc::canceled;
    try {
        throw;
    } catch (const std::system_error& error) {
        if (error.code()) failure = error.code();
        note_failure(exchange, failure, "the handler threw", error.what());
    } catch (const std::bad_alloc& error) {
        note_failure(exchange, Errc::not_enough_memory, "the handler threw", error.what());
    } catch (const std::exception& error) {
        note_failure(exchange, failure, "the handler threw", error.what());
    } catch (...) {
        note_failure(exchange, failure, "the handler threw", "what is no std::exception");
    }
    if (!exchange) return;
    if (exchange->state_ == Exchange::State::begun) return fail(*exchange, exchange->failure_);
    answer_unsent(*exchange);
}

void ServerConnection::note_failure(Exchange* exchange, std::error_code failure,
                                    std::string_view what, std::string_view detail) noexcept {
    EngineCore& core = EngineCore::of(loop_.engine());
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

// A status that no final response has; 500 takes its place.
bool ServerConnection::is_final(Exchange& exchange, int status) noexcept {
    if (status >= 200 && status <= 999) return true;
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, status).ptr;
    note_failure(&exchange, ArgumentErrc::invalid_status, "no response can have the status",
                 std::string_view(digits, static_cast<std::size_t>(end - digits)));
    return false;
}

void ServerConnection::refuse_response(Exchange& exchange, std::error_code error,
                                       std::string_view what, std::string_view detail) noexcept {
    note_failure(&exchange, error, what, detail);
    answer_unsent(exchange);
}

// The serialiser has refused it.
void ServerConnection::refuse_message(Exchange& exchange) noexcept {
    refuse_response(exchange, ArgumentErrc::invalid_message, "the response cannot be sent",
                    "its status, fields and content contradict each other");
}

// begin() was called, and nothing of the response went out.
bool ServerConnection::has_pending() noexcept {
    return !closed_ && loop_.serves() && session() && session()->sink().has_pending();
}

// 500, without anything that was meant for another response.
void ServerConnection::answer_unsent(Exchange& exchange) noexcept {
    exchange.response_.reset();
    send_page(exchange, 500);
}

void ServerConnection::fail(Exchange& exchange, std::error_code error) noexcept {
    if (!exchange.failure_) exchange.failure_ = error;
    if (exchange.state_ != Exchange::State::begun) {
        log_access(exchange, 0, 0, exchange.failure_);
        return drop(exchange);
    }
    MessageSink& sink = session()->sink();
    if (sink.is_writing_head()) {
        sink.cancel_head();
        return wait_for_writes(exchange, Exchange::State::failing);
    }
    break_off(exchange, exchange.failure_);
}

// Of what begin() began.
void ServerConnection::break_off(Exchange& exchange, std::error_code error) noexcept {
    MessageSink& sink = session()->sink();
    if (has_pending()) {
        return sink.is_refused() ? refuse_message(exchange) : answer_unsent(exchange);
    }
    const bool begun = sink.has_begun();
    log_access(exchange, begun ? exchange.response_.status() : 0,
               begun ? sink.content_written() : 0, error);
    drop(exchange);
}

// Without a response, or without the rest of one.
void ServerConnection::drop(Exchange& exchange) noexcept {
    last_ = true;
    release(exchange);
    close();
}

}  // namespace uaio::http
