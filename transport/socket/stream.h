// The user's handle of a connected socket. Any thread may destroy it at any time; its Socket then
// ends pending operations and frees itself.
#pragma once

#include <uaio/stream.h>

#include "transport/socket/socket.h"
#include "transport/stream/encrypting.h"
#include "transport/stream/half_close.h"
#include "transport/stream/idle_receive.h"
#include "transport/stream/try_io.h"

#include <new>

namespace uaio {

class SocketStream final : public Stream,
                           public TryIo,
                           public Encrypting,
                           public HalfClose,
                           public IdleReceive {
public:
    // Creates a stream, in the memory of a new Socket that owns `fd`. Without memory, closes `fd`
    // and returns nullptr.
    static StreamPtr make(EngineCore& core, int fd, const StreamOptions& options) noexcept;

    explicit SocketStream(Socket& socket) noexcept : socket_(socket) {}
    // Releases the socket, which frees this memory with its own.
    static void operator delete(SocketStream* stream, std::destroying_delete_t) noexcept;

    void read(Aio& aio) override;
    void read_all(Aio& aio) override;
    void write(Aio& aio) override;
    void write_all(Aio& aio) override;
    void close() noexcept override { socket_.close(); }
    int native_handle() const noexcept override { return socket_.native_handle(); }

    Transferred try_write(std::span<const std::byte> bytes) noexcept override;
    Transferred try_read(std::span<std::byte> bytes) noexcept override;
    void wait_for(Direction direction, Aio& aio) noexcept override;

    std::error_code start_encrypting(std::span<const std::byte> info) noexcept override;
    Transferred try_write_record(std::uint8_t type,
                                 std::span<const std::byte> bytes) noexcept override;

    void end_output() noexcept override;

    bool await_bytes(Received received, void* owner) noexcept override;
    void stop_awaiting() noexcept override { socket_.awaited().cancel(Errc::canceled); }

private:
    Socket& socket_;
};

// Sets the options on a socket; returns 0, or the negative errno of the first one refused.
int apply_options(Kernel& kernel, int fd, int family, const StreamOptions& options) noexcept;

}  // namespace uaio
