// Child processes of the demo, joined by pipes. They die with the demo, however it ends. For the
// main thread alone, since a child dies with the thread that made it (prctl(2), PR_SET_PDEATHSIG).
#pragma once

#include "tools/demo_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace uaio::demo {

class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { close(); }

    int get() const noexcept { return fd_; }
    void close() noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_;
};

struct Pipe {
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) < 0) throw_errno("making a pipe");
        read = Descriptor(ends[0]);
        write = Descriptor(ends[1]);
    }

    Descriptor read;
    Descriptor write;
};

// A running program; the destructor kills it.
class Child {
public:
    // `arguments` start with the program's name, looked up in PATH. A -1 becomes /dev/null.
    Child(std::vector<std::string> arguments, int input, int output, int errors = STDERR_FILENO)
        : name_(arguments[0]) {
        std::vector<char*> pointers;
        for (std::string& argument : arguments)
            pointers.push_back(argument.data());
        pointers.push_back(nullptr);
        const Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        const int from[] = {input, output, errors};
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ < 0) throw_errno("starting " + name_);
        if (pid_ > 0) return;
        // Between fork and exec in a process with threads: system calls only.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);
        for (int i = 0; i < 3; ++i) {
            const int fd = from[i] < 0 ? null.get() : from[i];
            if (fd != i && ::dup2(fd, i) < 0) ::_exit(127);
        }
        ::execvp(pointers[0], pointers.data());
        ::_exit(127);
    }
    ~Child() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // Waits for the program to end; throws std::runtime_error unless its exit status is 0.
    void expect_success(const std::string& output = {}) {
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        std::string why = "was killed by signal " + std::to_string(WTERMSIG(status));
        if (WIFEXITED(status)) why = "ended with status " + std::to_string(WEXITSTATUS(status));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127) why = "could not be run; install it";
        throw std::runtime_error(name_ + " " + why + (output.empty() ? "" : ": " + output));
    }

private:
    std::string name_;
    pid_t pid_ = -1;
};

// Reads `from` to its end and calls `tick` about ten times a second.
inline std::string read_to_end(const Descriptor& from, const std::function<void()>& tick) {
    std::string all;
    for (;;) {
        pollfd entry{from.get(), POLLIN, 0};
        const int ready = ::poll(&entry, 1, 100);
        tick();
        if (ready <= 0) continue;
        char buffer[4096];
        const ssize_t size = ::read(from.get(), buffer, sizeof buffer);
        if (size <= 0) return all;
        all.append(buffer, static_cast<std::size_t>(size));
    }
}

// Returns sha256sum's digest of the first `size` bytes of `file`.
inline std::string sha256_of(const File& file, std::size_t size,
                             const std::function<void()>& tick) {
    Pipe bytes;
    Pipe digest;
    Child head({"head", "-c", std::to_string(size)}, file.rewound(), bytes.write.get());
    Child sum({"sha256sum"}, bytes.read.get(), digest.write.get());
    bytes.read.close();
    bytes.write.close();
    digest.write.close();
    const std::string output = read_to_end(digest.read, tick);
    head.expect_success();
    sum.expect_success();
    return output.substr(0, 64);
}

}  // namespace uaio::demo
