// The user's handle of a tls connection. Any thread may destroy it at any time; its Channel then
// sends close_notify and frees itself.
#pragma once

#include <uaio/stream.h>

#include "transport/tls/channel.h"

namespace uaio::tls {

class TlsStream final : public Stream, public TryIo {
public:
    explicit TlsStream(Channel& channel) noexcept : channel_(channel) {}
    ~TlsStream() override { channel_.release(); }

    void read(Aio& aio) override;
    void read_all(Aio& aio) override;
    void write(Aio& aio) override;
    void write_all(Aio& aio) override;
    void close() noexcept override { channel_.close(); }
    int native_handle() const noexcept override { return channel_.native_handle(); }

    Transferred try_write(std::span<const std::byte> bytes) noexcept override {
        return channel_.sink().try_write(bytes);
    }
    Transferred try_read(std::span<std::byte> bytes) noexcept override {
        return channel_.source().try_read(bytes);
    }
    void wait_for(Direction direction, Aio& aio) noexcept override;
    void read_on_demand() noexcept override { channel_.source().read_on_demand(); }

    Channel& channel() const noexcept { return channel_; }

private:
    Channel& channel_;
};

}  // namespace uaio::tls
