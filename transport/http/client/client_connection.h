// One connection of a client. Between two requests a read of the next response stays pending, so
// that the client notices at once if the server closes or sends unrequested bytes. A transaction
// that ends early closes its connection, and finishes when no operation uses its request or
// response any more. Engine's thread.
#pragma once

#include "engine/moving_deadline.h"
#include "transport/http/client/client_core.h"
#include "transport/http/message_source.h"

#include <optional>

namespace uaio::http {

class ClientConnection {
public:
    explicit ClientConnection(ClientCore& core);

    // Connects, and then carries the transaction.
    void connect(Transaction& transaction) noexcept;
    // REQUIRES: rests().
    void carry(Transaction& transaction) noexcept;
    bool rests() const noexcept { return state_ == State::resting; }
    // False if bytes, or the end of the stream, have arrived unnoticed. REQUIRES: rests().
    bool check() noexcept;
    // Closes, and ends its transaction with this error. If the transaction is ending already, only
    // cancels its retry or redirect.
    void end(std::error_code error) noexcept;

private:
    friend class ClientCore;
    enum class State : std::uint8_t { connecting, resting, head, content, closed };
    // The fate of a transaction whose connection closes: it ends, or another connection carries it.
    enum class Then : std::uint8_t { end, follow_redirect, retry };

    void send() noexcept;
    void read_head() noexcept;
    void on_read() noexcept;
    void on_ended(std::error_code error) noexcept;
    void on_connected(std::error_code error) noexcept;
    void on_head(std::error_code error, bool in_place) noexcept;
    void read_content() noexcept;
    void keep_content() noexcept;
    void on_content(std::error_code error) noexcept;
    void on_written() noexcept;
    void complete() noexcept;
    bool redirect(Transaction& transaction, std::error_code& error) noexcept;
    bool may_retry(Transaction& transaction) noexcept;
    MessageSource& source() noexcept;
    void end(std::error_code error, Then then) noexcept;
    void release_transaction() noexcept;
    void rest() noexcept;
    void stop_resting() noexcept;
    void close() noexcept;
    void destroy_if_idle() noexcept;

    ClientCore& core_;
    StreamPtr stream_;
    std::optional<Connection> connection_;
    Response incoming_;
    Transaction* current_ = nullptr;
    ClientConnection* next_ = nullptr;
    ClientConnection** previous_ = nullptr;
    ClientConnection* next_resting_ = nullptr;
    ClientConnection** previous_resting_ = nullptr;  // not null exactly while it rests
    std::size_t collected_ = 0;
    std::uint64_t carried_ = 0;  // requests
    std::uint64_t enters_ = 0;   // the count of enters when the stream got the request
    std::error_code result_;     // of the transaction, once it is ending
    State state_ = State::connecting;
    Then then_ = Then::end;
    bool collecting_ = false;  // the pending read is one of content
    bool in_place_ = false;    // the head that is awaited goes to the transaction's response
    bool reading_ = false;
    bool writing_ = false;
    Aio reads_;
    Aio writes_;
    MovingDeadline idle_end_;
    MovingDeadline send_end_;
};

}  // namespace uaio::http
