// The other end of a connection as a plain socket, driven by the test step by step: it reads and
// sends only when the test calls it. Non-blocking throughout. For one thread.
#pragma once

#include <uaio/endpoint.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace uaio {

class RawPeer {
public:
    // How the other side's stream ended, as far as this side has read it.
    enum class End { open, fin, reset };

    static constexpr std::size_t kEverything = SIZE_MAX;

    // Takes over a connected socket.
    explicit RawPeer(int fd);
    ~RawPeer();
    RawPeer(RawPeer&& other) noexcept;
    RawPeer& operator=(RawPeer&&) = delete;

    // Connects to a listener; a receive buffer of 0 is the system's default.
    static RawPeer connect_tcp(const Endpoint& listener, int receive_buffer = 0);
    static RawPeer connect_local(std::string_view path);
    // Accepts a listening socket's next connection; blocks until there is one.
    static RawPeer accept_from(int listener);

    int fd() const noexcept { return fd_; }

    // Bytes that have arrived and are unread.
    std::size_t unread() const;
    // Appends arrived bytes, at most `limit`, to received(); returns their number.
    std::size_t read_some(std::size_t limit = kEverything);
    const std::string& received() const noexcept { return received_; }
    End end() const noexcept { return end_; }

    // Sends all of it; fails the test if it does not fit at once.
    void send(std::string_view bytes);
    // Sends as much as fits; returns the number of bytes.
    std::size_t send_some(std::string_view bytes);

    void shutdown_write();
    void shutdown_read();
    void close();  // with unread bytes, a reset
    void reset();  // closes by a reset
    bool writable() const;

private:
    int fd_;
    End end_ = End::open;
    std::string received_;
};

// A listening socket on a free loopback port, for connects of uaio.
class RawListener {
public:
    explicit RawListener(int backlog = 64);
    ~RawListener();
    RawListener(const RawListener&) = delete;
    RawListener& operator=(const RawListener&) = delete;

    int fd() const noexcept { return fd_; }
    Endpoint endpoint() const;

private:
    int fd_;
};

// `size` bytes of a pattern in which every place of a buffer is unique.
std::string pattern(std::size_t size, unsigned seed = 1);

// Descriptors that this process has open.
std::size_t open_descriptors();

}  // namespace uaio
