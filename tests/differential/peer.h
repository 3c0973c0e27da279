// The scripted peer: a plain non-blocking socket that reads and sends only when the scenario calls
// it. Also inspects the library's own socket. For one thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace differential {

// How the stream from the library ended, as far as the peer has read it.
enum class End { open, finished, reset };

// Accepts one connection on a free port of 127.0.0.1. Its receive buffer is small and fixed, so
// that a write of kBlocking bytes never fits into the two sockets (tcp(7): tcp_wmem is at most 4
// MiB here).
class Peer {
public:
    static constexpr std::size_t kBlocking = 16 << 20;

    Peer();
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    void accept();

    // Appends arrived bytes, at most `limit`, to received(); returns their number.
    std::size_t read_some(std::size_t limit);
    // Waits at most `milliseconds` for bytes or the end.
    bool wait_readable(int milliseconds) const;
    const std::string& received() const noexcept { return received_; }
    // Removes the head of a request from received(); empty if it is incomplete.
    std::string take_head();
    End end() const noexcept { return end_; }

    void send(const std::string& bytes);  // all of it, waiting for room
    const std::string& sent() const noexcept { return sent_; }

    void shutdown_write();
    void shutdown_read();  // discards later arrivals
    void close();          // with unread bytes, a reset
    void reset();
    bool reads() const noexcept { return reads_; }  // false after close, reset and shutdown_read

private:
    int listener_;
    int fd_ = -1;
    std::uint16_t port_ = 0;
    End end_ = End::open;
    bool reads_ = true;
    std::string received_;
    std::string sent_;
};

// The library's socket, found among the descriptors of this process; inspected, never used.
class ObservedSocket {
public:
    // The one connected to `port`.
    explicit ObservedSocket(std::uint16_t port);

    bool is_open() const;     // not yet closed by the library
    bool is_full() const;     // accepts no more bytes
    bool is_hung_up() const;  // has received a reset
    bool has_unsent() const;  // holds bytes that the peer's socket does not have (tcp(7) SIOCOUTQ)
    // Small writes do not wait for the peer to acknowledge earlier ones (tcp(7) TCP_NODELAY).
    bool sends_at_once() const;

private:
    int fd_ = -1;
    ino_t inode_ = 0;
};

}  // namespace differential
