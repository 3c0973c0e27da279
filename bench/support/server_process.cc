#include "bench/support/server_process.h"

#include "bench/support/loopback.h"
#include "bench/support/processor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace uaio::bench {
namespace {

// In the child, between fork(2) and exec(3).
[[noreturn]] void become(char* const* arguments, int out) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to_processor(Place::own);
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(nothing, STDERR_FILENO);
    ::execvp(arguments[0], arguments);
    ::_exit(127);
}

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& command, std::uint16_t port)
    : port_(port) {
    std::vector<char*> arguments;
    for (const std::string& argument : command)
        arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::system_category(), "pipe2");
    }
    const Descriptor out(ends[0]);
    Descriptor in(ends[1]);
    process_ = ::fork();
    if (process_ == 0) become(arguments.data(), in.get());
    if (process_ < 0) throw std::system_error(errno, std::system_category(), "fork");
    in = Descriptor();
    try {
        if (port_ == 0) read_port(out.get());
        wait_for_port();
    } catch (...) {
        end();
        throw;
    }
    ::clock_getcpuclockid(process_, &clock_);
}

ServerProcess::~ServerProcess() { end(); }

void ServerProcess::end() noexcept {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
}

void ServerProcess::read_port(int pipe) {
    std::string line;
    char next = 0;
    while (::read(pipe, &next, 1) == 1 && next != '\n')
        line += next;
    if (std::from_chars(line.data(), line.data() + line.size(), port_).ec != std::errc()) {
        throw std::runtime_error("the server did not print its port");
    }
}

void ServerProcess::wait_for_port() const {
    for (int tries = 0; tries < 1000; ++tries) {
        try {
            connect_to(port_);
            return;
        } catch (const std::system_error&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    throw std::runtime_error("the server does not listen");
}

std::int64_t ServerProcess::cpu_ns() const noexcept {
    timespec time{};
    ::clock_gettime(clock_, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace uaio::bench
