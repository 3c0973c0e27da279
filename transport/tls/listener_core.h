// The engine's side of a tls::Listener: connections are accepted below as long as somebody waits
// for one, their handshakes run beside each other, and those that succeed are handed out in the
// order in which they did. Engine's thread only, but for what Held lets any thread do.
#pragma once

#include <uaio/tls.h>

#include "transport/closing.h"
#include "transport/held.h"
#include "transport/tls/context_core.h"

#include <cstddef>
#include <memory>
#include <optional>

namespace uaio::tls {

class ListenerCore final : public Held {
public:
    ListenerCore(EngineCore& core, std::unique_ptr<Acceptor> below, const Context& context,
                 const ListenerOptions& options, Closing& closing);

    // Any thread.
    void accept(Aio& aio, StreamPtr& out) noexcept;
    // Any thread, once, by the handle that goes: closes, and returns when the acceptor below is
    // closed; see ListeningSocket::release().
    void release() noexcept;

    void evict() noexcept override { close_here(); }

private:
    struct Attempt;

    ~ListenerCore() override;
    static void start_accept(Aio& aio) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    void close_here() noexcept override;
    bool finished() const noexcept override { return closed_; }
    bool busy() const noexcept override {
        return accepting_ || telling_ || attempts_ != nullptr || !waiting_.empty();
    }
    void forget(bool idle) noexcept override;

    void accept_below() noexcept;
    void on_accepted() noexcept;
    void on_handshake(Attempt& attempt) noexcept;
    void tell(std::error_code error) noexcept;
    void hand_out() noexcept;
    void drop_ready() noexcept;
    void add(Attempt*& list, Attempt& attempt) noexcept;
    // Off the handshakes that run.
    void take(Attempt& attempt) noexcept;

    Closing& closing_;
    const std::unique_ptr<Acceptor> below_;
    const Context context_;
    const ListenerOptions options_;
    std::optional<Aio> inner_;  // accepts below
    StreamPtr accepted_;
    AioQueue waiting_;             // the users'
    Attempt* attempts_ = nullptr;  // handshakes that run
    Attempt* ready_ = nullptr;     // those that succeeded and nobody has asked for, newest first
    std::size_t connections_ = 0;  // in both lists
    bool accepting_ = false;       // inner_ is with the acceptor
    bool telling_ = false;         // on_failure runs
    bool closed_ = false;
};

}  // namespace uaio::tls
