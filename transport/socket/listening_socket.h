// A listening socket on the engine's side. Each pending accept has an operation of its own in the
// kernel. Engine's thread, but for what Descriptor lets any thread do.
#pragma once

#include <uaio/stream.h>

#include "transport/socket/descriptor.h"

#include <string>

namespace uaio {

class ListeningSocket final : public Descriptor {
public:
    struct Setup {
        int backlog = 0;
        bool reuse_address = false;
        bool reuse_port = false;
        StreamOptions stream;  // of the accepted connections
        std::string file;      // of a unix socket, removed when it closes
    };

    // Makes, binds and listens; throws std::system_error that names the call and `where`.
    static ListeningSocket* open(Engine& engine, const sockaddr* address, socklen_t size,
                                 const Setup& setup, const std::string& where);

    ListeningSocket(EngineCore& core, int fd, const Setup& setup)
        : Descriptor(core, fd), options_(setup.stream), file_(setup.file) {}

    void accept(Aio& aio, StreamPtr& out) noexcept;

private:
    static void start_accept(Aio& aio) noexcept;
    static Outcome on_accepted(Aio& aio, int result, unsigned flags) noexcept;

    void wait_for_connection(Aio& aio) noexcept;
    bool end(Aio& aio, int result) noexcept;

    void end_operations() noexcept override;
    bool in_kernel() const noexcept override { return !accepts_.empty(); }
    bool holds_aios() const noexcept override { return in_kernel(); }

    AioQueue accepts_;
    const StreamOptions options_;
    const std::string file_;
};

}  // namespace uaio
