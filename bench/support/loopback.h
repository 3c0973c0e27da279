// Sockets on 127.0.0.1 with a port that the kernel picks, made by plain system calls: the end that
// is the same for every contender. Failures throw std::system_error. One thread at a time.
#pragma once

#include <cstdint>
#include <ctime>
#include <thread>
#include <utility>

namespace uaio::bench {

// Owns a descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor();

    int get() const noexcept { return fd_; }
    // The descriptor, which is the caller's now.
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

// Listens; connections may be made and accepted in any order.
class Listening {
public:
    Listening();

    std::uint16_t port() const noexcept { return port_; }
    // A blocking socket with TCP_NODELAY.
    Descriptor accept() const;

private:
    Descriptor socket_;
    std::uint16_t port_ = 0;
};

// A blocking socket with TCP_NODELAY, connected to 127.0.0.1.
Descriptor connect_to(std::uint16_t port);

// TCP_NODELAY, as the streams of the library have it.
void set_no_delay(int fd);

// Receives on the other processor, as fast as it can, and throws away, until the stream ends. The
// bytes are dropped inside the kernel (MSG_TRUNC, tcp(7)), so that the sender is what limits. It is
// woken for 64 KiB at a time: to wake a thread on another processor costs more than a small send,
// and whether each send had to do it would be a matter of luck.
class DiscardingReader {
public:
    DiscardingReader() = default;
    // Waits for the end of the stream.
    ~DiscardingReader();
    DiscardingReader(const DiscardingReader&) = delete;
    DiscardingReader& operator=(const DiscardingReader&) = delete;

    void start(Descriptor socket);

    // Of the CPU time of its thread. REQUIRES: started.
    clockid_t clock();

private:
    void discard() const;

    Descriptor socket_;
    std::thread thread_;
};

}  // namespace uaio::bench
