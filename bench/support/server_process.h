// A server in a process of its own, on the processor of the measured side, until the destructor
// kills it. Failures throw std::system_error or std::runtime_error. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

namespace uaio::bench {

class ServerProcess {
public:
    // Starts a program, by path or by name in PATH. With `port`, which the caller has passed to the
    // program, waits until it listens there; else reads the port from the program's first line.
    explicit ServerProcess(const std::vector<std::string>& command, std::uint16_t port = 0);
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    // CPU time of all its threads, in nanoseconds.
    std::int64_t cpu_ns() const noexcept;

private:
    void read_port(int pipe);
    void wait_for_port() const;
    void end() noexcept;

    pid_t process_ = -1;
    clockid_t clock_ = CLOCK_PROCESS_CPUTIME_ID;
    std::uint16_t port_;
};

}  // namespace uaio::bench
