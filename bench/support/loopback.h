// Sockets on 127.0.0.1 with a port that the kernel picks, made by plain system calls: the end that
// all contenders share. Failures throw std::system_error. One thread at a time.
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
    // Returns the descriptor, which the caller then owns.
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

// A listening socket; connections may be made and accepted in any order.
class Listening {
public:
    Listening();

    std::uint16_t port() const noexcept { return port_; }
    int fd() const noexcept { return socket_.get(); }
    // Returns a blocking socket with TCP_NODELAY.
    Descriptor accept() const;

private:
    Descriptor socket_;
    std::uint16_t port_ = 0;
};

// Returns a blocking socket with TCP_NODELAY, connected to 127.0.0.1.
Descriptor connect_to(std::uint16_t port);

// Sets TCP_NODELAY, as the library's streams do.
void set_no_delay(int fd);

// Receives on the other processor, as fast as possible, and discards until the stream ends. The
// kernel drops the bytes (MSG_TRUNC, tcp(7)), so that the sender is the bottleneck. The thread
// wakes for 64 KiB at a time: waking a thread on another processor costs more than a small send,
// and which sends pay for it would be random.
class DiscardingReader {
public:
    DiscardingReader() = default;
    // Waits for the end of the stream.
    ~DiscardingReader();
    DiscardingReader(const DiscardingReader&) = delete;
    DiscardingReader& operator=(const DiscardingReader&) = delete;

    void start(Descriptor socket);

    // The CPU clock of its thread. REQUIRES: started.
    clockid_t clock();

private:
    void discard() const;

    Descriptor socket_;
    std::thread thread_;
};

}  // namespace uaio::bench
