// The far end of a connection as a plain socket, driven by the test step by step: nothing is read
// or sent unless the test says so. Non-blocking throughout. For one thread.
#pragma once

#include <uaio/endpoint.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace uaio {

class RawPeer {
public:
    // How the other side's stream ended, as far as this one has read it.
    enum class End { open, fin, reset };

    static constexpr std::size_t kEverything = SIZE_MAX;

    // Takes over a connected socket.
    explicit RawPeer(int fd);
    ~RawPeer();
    RawPeer(RawPeer&& other) noexcept;
    RawPeer& operator=(RawPeer&&) = delete;

    // Connects to a listener; a receive buffer of 0 is the system's own choice.
    static RawPeer connect_tcp(const Endpoint& listener, int receive_buffer = 0);
    static RawPeer connect_local(std::string_view path);
    // A listening socket's next connection, waiting for it.
    static RawPeer accept_from(int listener);

    int fd() const noexcept { return fd_; }

    // Bytes that have arrived and were not read.
    std::size_t unread() const;
    // Reads what has arrived, at most `limit`, onto received(); returns how much that was.
    std::size_t read_some(std::size_t limit = kEverything);
    const std::string& received() const noexcept { return received_; }
    End end() const noexcept { return end_; }

    // Sends all of it; what does not fit at once fails the test.
    void send(std::string_view bytes);
    // Sends what fits; the number of bytes.
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

// `size` bytes that tell where they belong: no two places of a buffer look the same.
std::string pattern(std::size_t size, unsigned seed = 1);

// Descriptors that this process has open.
std::size_t open_descriptors();

}  // namespace uaio
