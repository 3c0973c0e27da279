// The engine's side of a tls::Listener. Accepts connections below while accepts are pending. Each
// connection waits for the peer's first byte, which costs almost no memory, then runs its
// handshake; all run concurrently. Hands connections out in the order in which their handshakes
// succeeded. Engine's thread only, except for EngineObject's members for any thread.
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
    // Any thread, once, by the handle's destructor: closes, and returns when the acceptor below is
    // closed; see ListeningSocket::release().
    void release() noexcept;

    void begin_shutdown() noexcept override { close_here(); }

private:
    struct Attempt;

    // The oldest first.
    struct List {
        void push(Attempt& attempt) noexcept;
        void remove(Attempt& attempt) noexcept;
        // Removes the oldest and gives it to the caller; null if empty.
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
        return accepting_ || reporting_ || !silent_.empty() || !running_.empty() ||
               !waiting_.empty();
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
    void report_failure(std::error_code error) noexcept;
    void hand_out() noexcept;
    void cancel_all(const List& list) noexcept;
    void drop_ready() noexcept;

    Closing& closing_;
    const std::unique_ptr<Acceptor> below_;
    const Context context_;
    const ListenerOptions options_;
    std::optional<Aio> inner_;  // accepts below
    StreamPtr accepted_;
    AioQueue waiting_;        // the users' accepts
    List silent_;             // no byte received yet
    List running_;            // handshake under way
    List ready_;              // handshake done, not accepted yet
    bool accepting_ = false;  // inner_ is pending
    bool reporting_ = false;  // on_failure runs
    bool closed_ = false;
};

}  // namespace uaio::tls
