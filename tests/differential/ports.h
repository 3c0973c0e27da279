// Ports of 127.0.0.1 where a connect fails or waits. For the scenario's thread.
#pragma once

#include <cstdint>

namespace differential {

// In use without a listener: a connect is refused.
class ClosedPort {
public:
    ClosedPort();
    ~ClosedPort();
    ClosedPort(const ClosedPort&) = delete;
    ClosedPort& operator=(const ClosedPort&) = delete;

    std::uint16_t port() const noexcept { return port_; }

private:
    int fd_;
    std::uint16_t port_ = 0;
};

// A listener whose queue is full: the kernel drops a connect's first packet, which TCP resends
// after a second (tcp(7), listen(2)).
class FullPort {
public:
    FullPort();
    ~FullPort();
    FullPort(const FullPort&) = delete;
    FullPort& operator=(const FullPort&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    // One connect can succeed.
    void make_room();

private:
    int listener_;
    int first_;  // takes the only place in the queue
    int accepted_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace differential
