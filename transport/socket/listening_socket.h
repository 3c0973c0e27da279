// The engine's side of a listening socket. Each pending accept has its own operation in the kernel;
// without a free descriptor or memory it waits here until there may be one. Engine's thread, except
// where noted.
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>

#include "transport/socket/descriptor.h"
#include "transport/socket/socket_share.h"
#include "transport/stream/closing.h"

#include <memory>
#include <optional>
#include <string>

namespace uaio {

class ListeningSocket final : public Descriptor, private Shortage::Waiter {
public:
    struct Setup {
        int backlog = 0;
        bool reuse_address = false;
        bool reuse_port = false;
        StreamOptions stream;  // of the accepted connections
        // File of a unix socket, removed on close; empty: none.
        std::string file;
        std::shared_ptr<SocketShare> share;  // of a factory; null: the socket has one listener
    };

    // Opens a socket, binds and listens, or shares one that listens; throws std::system_error that
    // names the call and `where`. Any thread.
    static ListeningSocket* open(Engine& engine, const sockaddr* address, socklen_t size,
                                 const Setup& setup, const std::string& where);

    // Any thread.
    void accept(Aio& aio, StreamPtr& out) noexcept;
    // Any thread. Requests close_here(); closes at once while no thread runs the engine.
    void close() noexcept;
    // Any thread, once, by the handle's destructor: closes, and returns when the address is free.
    // On another thread than the engine's it waits for that one, no longer than the drain_timeout.
    void release() noexcept;

private:
    // Parts allocated before the socket, so that its constructor cannot fail.
    struct Parts {
        std::unique_ptr<Closing> closing = std::make_unique<Closing>();
        StreamOptions options;
        std::string file;
        FileIdentity identity = {};  // of file
        std::shared_ptr<SocketShare> share;
    };

    // Moves from `parts`.
    ListeningSocket(EngineCore& core, int fd, Parts& parts) noexcept;
    ~ListeningSocket() override;
    static int listen(Kernel& kernel, const sockaddr* address, socklen_t size, const Setup& setup,
                      const std::string& where);
    static ListeningSocket* make(EngineCore& core, int fd, Parts&& parts, const std::string& where);

    static void start_accept(Aio& aio) noexcept;
    static Outcome on_accepted(Aio& aio, int result, unsigned flags) noexcept;
    static void on_cancel_paused(Aio& aio) noexcept;

    void wait_for_connection(Aio& aio) noexcept;
    bool end(Aio& aio, int result) noexcept;

    void pause(Aio& aio, int result) noexcept;
    void on_pause_over() noexcept;
    void on_descriptor_free() noexcept override { pause_->cancel(); }

    void leave() noexcept;
    void end_operations() noexcept override;
    bool in_kernel() const noexcept override { return !settled_ && !accepts_.empty(); }
    bool holds_aios() const noexcept override { return pausing_ || !accepts_.empty(); }
    void end_transfer() noexcept override { leave(); }
    void on_closed() noexcept override { closing_.finish(); }
    void on_engine_destroyed(bool idle) noexcept override;

    Closing& closing_;
    const StreamOptions options_;
    const std::string file_;
    const FileIdentity identity_;
    const std::shared_ptr<SocketShare> share_;
    AioQueue accepts_;          // in the kernel, or paused
    std::optional<Aio> pause_;  // null once the engine is gone
    bool pausing_ = false;      // pause_ runs
    bool settled_ = false;      // closing: no accept is in the kernel, callbacks may be pending
};

}  // namespace uaio
