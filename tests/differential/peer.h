// The scripted far end: a plain non-blocking socket that reads and sends only when the scenario
// says so. Also the look that a scenario takes at the library's own socket. For one thread.
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

    // Reads what is there, at most `limit`, onto received(); returns how much that was.
    std::size_t read_some(std::size_t limit);
    // Waits so many milliseconds at most for bytes or the end.
    bool wait_readable(int milliseconds) const;
    const std::string& received() const noexcept { return received_; }
    // Takes the head of a request out of received(); empty if there is no whole one.
    std::string take_head();
    End end() const noexcept { return end_; }

    void send(const std::string& bytes);  // all of it, waiting for room
    const std::string& sent() const noexcept { return sent_; }

    void shutdown_write();
    void shutdown_read();  // what arrives is not read any more
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

// The library's socket, found among the descriptors of this process, and only looked at.
class ObservedSocket {
public:
    // The one that is connected to `port`.
    explicit ObservedSocket(std::uint16_t port);

    bool is_open() const;     // not yet closed by the library
    bool is_full() const;     // takes no more bytes
    bool is_hung_up() const;  // knows of a reset
    bool has_unsent() const;  // holds bytes that the peer's socket does not have (tcp(7) SIOCOUTQ)
    // Small writes do not wait for the peer to acknowledge earlier ones (tcp(7) TCP_NODELAY).
    bool sends_at_once() const;

private:
    int fd_ = -1;
    ino_t inode_ = 0;
};

}  // namespace differential
