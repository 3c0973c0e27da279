// The engine's side of a tls::Listener: connections are accepted below as long as accepts wait for
// one. Each first waits for the peer's first byte, which costs next to no memory, then its
// handshake runs; both happen beside those of the others. Connections whose handshake succeeded are
// handed out in the order in which it did. Engine's thread only, but for what EngineObject lets any
// thread do.
#pragma once

#include <uaio/provider.h>
#include <uaio/tls.h>

#include "transport/stream/closing.h"
#include "transport/stream/engine_object.h"
#include "transport/tls/context_core.h"

#include <cstddef>
#include <memory>
#include <optional>

namespace uaio::tls {

class ListenerCore final : public EngineObject {
public:
    ListenerCore(EngineCore& core, std::unique_ptr<Acceptor> below, const Context& context,
                 const ListenerOptions& options, Closing& closing);

    // Any thread.
    void accept(Aio& aio, StreamPtr& out) noexcept;
    // Any thread, once, by the handle that goes: closes, and returns when the acceptor below is
    // closed; see ListeningSocket::release().
    void release() noexcept;

    void begin_shutdown() noexcept override { close_here(); }

private:
    struct Attempt;

    // The oldest in front.
    struct List {
        void push(Attempt& attempt) noexcept;
        void remove(Attempt& attempt) noexcept;
        // The oldest, which the caller owns then, or null.
        Attempt* pop() noexcept;
        bool empty() const noexcept { return front == nullptr; }

        Attempt* front = nullptr;
        Attempt* back = nullptr;
        std::size_t size = 0;
    };

    ~ListenerCore() override;
    static void start_accept(Aio& aio) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    void close_here() noexcept override;
    bool finished() const noexcept override { return closed_; }
    bool busy() const noexcept override {
        return accepting_ || telling_ || !silent_.empty() || !running_.empty() || !waiting_.empty();
    }
    void on_engine_destroyed(bool idle) noexcept override;

    std::size_t connections() const noexcept { return silent_.size + running_.size + ready_.size; }
    bool make_room() noexcept;
    void accept_below() noexcept;
    void on_accepted() noexcept;
    void begin(StreamPtr stream) noexcept;
    void on_back(Attempt& attempt) noexcept;
    void on_first_byte(Attempt& attempt) noexcept;
    void shake_hands(Attempt& attempt, StreamPtr stream) noexcept;
    void tell(std::error_code error) noexcept;
    void hand_out() noexcept;
    void cancel_all(const List& list) noexcept;
    void drop_ready() noexcept;

    Closing& closing_;
    const std::unique_ptr<Acceptor> below_;
    const Context context_;
    const ListenerOptions options_;
    std::optional<Aio> inner_;  // accepts below
    StreamPtr accepted_;
    AioQueue waiting_;        // the users'
    List silent_;             // no byte has come yet
    List running_;            // handshakes
    List ready_;              // those that succeeded and nobody has asked for
    bool accepting_ = false;  // inner_ is with the acceptor
    bool telling_ = false;    // on_failure runs
    bool closed_ = false;
};

}  // namespace uaio::tls
