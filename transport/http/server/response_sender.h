// The responses of one connection of a server: sends what handlers answer, whole or in pieces, in
// the order of the requests. A handler or a response that fails is answered with 500 if nothing was
// sent, else the connection closes. Reports each request to the access log. Engine's thread.
#pragma once

#include <uaio/http_server.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace uaio::http {

class FixedResponse;
struct PreparedResponse;

class ResponseSender {
public:
    explicit ResponseSender(ServerConnection& connection) noexcept : connection_(connection) {}

    // ---- operations of an Exchange
    void respond(Exchange& exchange) noexcept;
    void respond(Exchange& exchange, int status) noexcept;
    // Throws std::bad_alloc.
    void respond(Exchange& exchange, const FixedResponse& fixed);
    // The same, from one buffer that the exchange keeps for as long as the Date is the same. False
    // if the response is large, or the request unusual; nothing was sent then.
    bool respond_whole(Exchange& exchange, const FixedResponse& fixed);
    void begin(Exchange& exchange, Aio& aio) noexcept;
    void end(Exchange& exchange) noexcept;
    void fail(Exchange& exchange, std::error_code error = Errc::closed) noexcept;
    void on_written(Exchange& exchange) noexcept;

    // Responses being sent.
    std::size_t pending() const noexcept { return pending_; }
    // Cancels the write of the first of them.
    void cancel_first(std::error_code reason) noexcept;
    // Logs the failure, and stores it for the access record; `exchange` is null if it has ended.
    void note_failure(Exchange* exchange, std::error_code failure, std::string_view what,
                      std::string_view detail) noexcept;
    // Notes the failure, and answers 500. REQUIRES: nothing of the response was sent.
    void refuse_response(Exchange& exchange, std::error_code error, std::string_view what,
                         std::string_view detail) noexcept;
    // Called inside a catch block around a handler. `exchange` is null unless the handler still
    // holds it.
    void on_thrown(Exchange* exchange) noexcept;

private:
    bool is_final(Exchange& exchange, int status) noexcept;
    void send(Exchange& exchange) noexcept;
    // `stay`: the result of RequestReader::stay_or_stop().
    void send(Exchange& exchange, bool stay, const PreparedResponse& ready) noexcept;
    // The deadline of a response of `bytes` bytes that is written from now on.
    std::int64_t send_end_ns(std::size_t bytes) noexcept;
    // Adds the exchange behind the others whose responses are written, and removes it.
    void begin_write(Exchange& exchange, std::int64_t end_ns) noexcept;
    void end_write(Exchange& exchange) noexcept;
    bool has_pending_head() noexcept;
    void answer_unsent(Exchange& exchange) noexcept;
    void refuse_message(Exchange& exchange) noexcept;
    void wait_for_writes(Exchange& exchange, Exchange::State state) noexcept;
    void complete(Exchange& exchange) noexcept;
    void break_off(Exchange& exchange, std::error_code error) noexcept;
    void drop(Exchange& exchange) noexcept;
    void log_access(const Exchange& exchange, int status, std::uint64_t bytes,
                    std::error_code error) noexcept;
    void write_log(const Exchange& exchange, int status, std::uint64_t bytes,
                   std::error_code error) noexcept;

    ServerConnection& connection_;
    Exchange* first_ = nullptr;  // the responses being written, in their order
    Exchange** end_ = &first_;
    std::size_t pending_ = 0;  // their number
};

}  // namespace uaio::http
