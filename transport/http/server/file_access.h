// Opens and reads files for handlers, below a root that no path can leave. Any thread.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace uaio::http {

class OwnedFd {
public:
    explicit OwnedFd(int fd = -1) noexcept : fd_(fd) {}
    ~OwnedFd() {
        if (fd_ >= 0) ::close(fd_);
    }
    OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    OwnedFd& operator=(OwnedFd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

// O_NONBLOCK: opening a FIFO must not block the engine until a writer opens it.
inline constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// Opens a path for reading; sets errno on failure. Throws nothing.
OwnedFd open_file(const std::string& path);

// Opens a path without ".." below a directory; sets errno on failure. Follows symbolic links inside
// the root, or, where openat2(2) is unavailable, none.
OwnedFd open_beneath(int root, const std::string& path);

// Reads up to `size` bytes, fewer only at the end of the file; returns -1 and sets errno on
// failure.
ssize_t read_at(int fd, char* out, std::size_t size, std::uint64_t offset) noexcept;

}  // namespace uaio::http
