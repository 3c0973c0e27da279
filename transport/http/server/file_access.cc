#include "transport/http/server/file_access.h"

#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>

namespace uaio::http {
namespace {

// For kernels and containers without openat2(2): opens one directory at a time, and follows no
// symbolic links, since their targets could change between check and use.
OwnedFd walk_beneath(int root, const std::string& path) {
    OwnedFd at;
    int from = root;
    std::size_t begin = 0;
    while (true) {
        const std::size_t slash = path.find('/', begin);
        const bool last = slash == std::string::npos;
        const std::string name = path.substr(begin, last ? slash : slash - begin);
        const int flags = last ? kOpenFlags : O_PATH | O_DIRECTORY | O_CLOEXEC;
        OwnedFd next(::openat(from, name.empty() ? "." : name.c_str(), flags | O_NOFOLLOW));
        if (last || !next) return next;
        at = std::move(next);
        from = at.get();
        begin = slash + 1;
    }
}

}  // namespace

OwnedFd open_file(const std::string& path) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), kOpenFlags);
    } while (fd < 0 && errno == EINTR);
    return OwnedFd(fd);
}

OwnedFd open_beneath(int root, const std::string& path) {
    if (path.find('\0') != std::string::npos) {  // a NUL would end the name
        errno = ENOENT;
        return OwnedFd();
    }
    open_how how{};
    how.flags = kOpenFlags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    long fd = -1;
    do {
        fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));  // EAGAIN: something was renamed
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return walk_beneath(root, path);
    return OwnedFd(static_cast<int>(fd));
}

ssize_t read_at(int fd, char* out, std::size_t size, std::uint64_t offset) noexcept {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t part =
            ::pread(fd, out + done, size - done, static_cast<off_t>(offset + done));
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return -1;
        if (part == 0) break;
        done += static_cast<std::size_t>(part);
    }
    return static_cast<ssize_t>(done);
}

}  // namespace uaio::http
