// One connection of a client. Between two requests a read of the next response stays under way, so
// that a server which closes, or which sends what nobody asked for, is noticed at once. A
// transaction that ends early closes its connection and is over when nothing reads into its
// response or sends from its request any more. Engine's thread.
#pragma once

#include "transport/http/client/client_core.h"
#include "transport/http/message_source.h"

#include <optional>

namespace uaio::http {

class ClientConnection {
public:
    explicit ClientConnection(ClientCore& core);

    // Connects, and carries it then.
    void connect(Transaction& transaction) noexcept;
    // REQUIRES: rests().
    void carry(Transaction& transaction) noexcept;
    bool rests() const noexcept { return state_ == State::resting; }
    // False if something has come over it, or its end, that nothing has noticed yet. REQUIRES:
    // rests().
    bool check() noexcept;
    // Closes, and ends what it carries with this error, unless that is ending already; then it only
    // goes nowhere else.
    void end(std::error_code error) noexcept;

private:
    friend class ClientCore;
    enum class State : std::uint8_t { connecting, resting, head, content, closed };
    // What becomes of a transaction whose connection closes: it ends, or is carried by another.
    enum class Then : std::uint8_t { end, follow_redirect, retry };

    void send() noexcept;
    void read_head() noexcept;
    void on_read() noexcept;
    void on_connected(std::error_code error) noexcept;
    void on_head(std::error_code error) noexcept;
    void read_content() noexcept;
    void keep_content() noexcept;
    void on_content(std::error_code error) noexcept;
    void on_written() noexcept;
    void complete() noexcept;
    bool redirect(Transaction& transaction, std::error_code& error) noexcept;
    bool may_retry(Transaction& transaction) noexcept;
    MessageSource& source() noexcept;
    void end(std::error_code error, Then then) noexcept;
    void let_transaction_go() noexcept;
    void rest() noexcept;
    void start_timing() noexcept;
    void on_timer() noexcept;
    void close() noexcept;
    void destroy_if_idle() noexcept;

    ClientCore& core_;
    StreamPtr stream_;
    std::optional<Connection> connection_;
    Response incoming_;
    Transaction* current_ = nullptr;
    ClientConnection* next_ = nullptr;
    ClientConnection** previous_ = nullptr;
    std::size_t collected_ = 0;
    std::uint64_t carried_ = 0;  // requests
    std::uint64_t enters_ = 0;   // when the request was given to the stream
    std::error_code result_;     // of the transaction, once it is to end
    State state_ = State::connecting;
    Then then_ = Then::end;
    bool collecting_ = false;  // the read is one of content
    bool reading_ = false;
    bool writing_ = false;
    bool timing_ = false;
    Aio reads_;
    Aio writes_;
    Aio timer_;  // of resting
};

}  // namespace uaio::http
