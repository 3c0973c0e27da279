#include <uaio/http_files.h>

#include "transport/http/file_content.h"
#include "transport/http/message_reader.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

namespace uaio::http {
namespace {

// A file up to this size is read and leaves with its head in one write. A larger one is mapped, a
// window at a time, and goes from the page cache to the socket with one copy. (sendfile(2) would
// spare that one, but blocks on a socket that is not O_NONBLOCK, and io_uring does not wait on one
// that is.)
constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kWindow = 4 << 20;

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

// O_NONBLOCK: a FIFO must not hold the engine until somebody writes to it.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// For kernels and containers without openat2(2): one directory at a time, and no symbolic links at
// all, since where they lead could change while one looks.
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

// Opens a path without ".." below a directory; errno says why not.
OwnedFd open_beneath(int root, const std::string& path) {
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

int status_of_errno(int error) noexcept {
    switch (error) {
        case EACCES:
        case EPERM: return 403;
        case EMFILE:
        case ENFILE:
        case ENOMEM: return 503;
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case EXDEV:  // openat2(2): the path leads out of the root
        case ENAMETOOLONG:
        case ENXIO: return 404;
        default: return 500;
    }
}

// As much as there is, up to `size`; -1 and errno.
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

// A part of a file in memory. It is only given to the kernel, so that a file which is cut short
// meanwhile makes a write fail (EFAULT), and no signal.
class Mapping {
public:
    Mapping() = default;
    ~Mapping() { drop(); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    // Where the byte at `offset` lies; null without memory, with errno.
    const char* map(int fd, std::uint64_t offset, std::size_t size) noexcept {
        drop();
        const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        const auto before = static_cast<std::size_t>(offset % page);
        void* const at = ::mmap(nullptr, before + size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd,
                                static_cast<off_t>(offset - before));
        if (at == MAP_FAILED) return nullptr;
        at_ = at;
        size_ = before + size;
        return static_cast<const char*>(at) + before;
    }

private:
    void drop() noexcept {
        if (at_) ::munmap(at_, size_);
        at_ = nullptr;
    }

    void* at_ = nullptr;
    std::size_t size_ = 0;
};

// Sends a large file window by window; frees itself.
class FileSender {
public:
    FileSender(Exchange& exchange, OwnedFd file, const FilePart& part)
        : exchange_(exchange),
          file_(std::move(file)),
          offset_(part.offset),
          left_(part.size),
          aio_(exchange.engine(), [this](Aio&) { on_done(); }) {}

    void start() noexcept { exchange_.begin(aio_); }

private:
    void on_done() noexcept {
        if (aio_.result()) return stop(false);
        if (left_ == 0) return stop(true);
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kWindow));
        const char* const bytes = window_.map(file_.get(), offset_, size);
        if (!bytes) return stop(false);
        offset_ += size;
        left_ -= size;
        static_cast<void>(aio_.set_iov(bytes, size));
        aio_.set_timeout(exchange_.send_timeout(size));
        exchange_.writer().write(aio_);
    }

    void stop(bool complete) noexcept {
        complete ? exchange_.end() : exchange_.fail();
        delete this;
    }

    Exchange& exchange_;
    OwnedFd file_;
    Mapping window_;
    std::uint64_t offset_;
    std::uint64_t left_;
    Aio aio_;
};

void set_length(Response& response, std::uint64_t size) {
    if (response.headers().set("Content-Length", std::to_string(size))) throw std::bad_alloc();
}

void send_file(Exchange& exchange, OwnedFd file, const struct stat& state, std::string_view type) {
    Response& response = exchange.response();
    FilePart part;
    const FileState known{.size = static_cast<std::uint64_t>(state.st_size),
                          .modified = state.st_mtim.tv_sec,
                          .modified_ns = static_cast<std::uint32_t>(state.st_mtim.tv_nsec)};
    if (choose_part(exchange.request(), known, response, part)) throw std::bad_alloc();
    if (part.status == 412 || part.status == 416) return exchange.respond(part.status);
    if (response.set_status(part.status)) throw std::bad_alloc();
    if (part.status == 304) return exchange.respond();
    if (response.headers().set("Content-Type", type)) throw std::bad_alloc();
    const bool head = exchange.request().method() == "HEAD";
    if (head) {
        set_length(response, part.size);
        return exchange.respond();
    }
    if (part.size > kReadSize) {
        auto sender = std::make_unique<FileSender>(exchange, std::move(file), part);
        set_length(response, part.size);
        return sender.release()->start();
    }
    std::string& content = MessageReader::content(response);
    const auto size = static_cast<std::size_t>(part.size);
    content.resize(size);
    const ssize_t got = read_at(file.get(), content.data(), size, part.offset);
    if (got != static_cast<ssize_t>(size)) {
        response.clear_data();
        return exchange.respond(500);
    }
    set_length(response, size);
    exchange.respond();
}

// Percent-encodes a decoded path for a Location.
std::string encoded(std::string_view path) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$&'()*+,;=:@";
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char byte : path) {
        if (kPlain.find(byte) != std::string_view::npos) {
            out += byte;
            continue;
        }
        const auto value = static_cast<unsigned char>(byte);
        out += '%';
        out += kDigits[value >> 4];
        out += kDigits[value & 15];
    }
    return out;
}

void redirect_to(Exchange& exchange, std::string_view location, int status) {
    Response& response = exchange.response();
    if (response.set_error_page(status)) throw std::bad_alloc();
    if (response.headers().set("Location", location)) throw std::bad_alloc();
    exchange.respond();
}

bool answers(Exchange& exchange) {
    const std::string_view method = exchange.request().method();
    if (method == "GET" || method == "HEAD") return true;
    if (exchange.response().headers().set("Allow", "GET, HEAD")) throw std::bad_alloc();
    exchange.respond(405);
    return false;
}

struct Root {
    OwnedFd fd;
    DirectoryOptions options;
};

void serve_directory(const Root& root, Exchange& exchange) {
    if (!answers(exchange)) return;
    std::string path(exchange.rest());
    const std::size_t begin = path.find_first_not_of('/');
    path.erase(0, begin == std::string::npos ? path.size() : begin);
    const bool names_directory = path.empty() || path.back() == '/';
    if (names_directory) {
        if (exchange.path().back() == '/' && root.options.index.empty()) {
            return exchange.respond(404);
        }
        path += root.options.index;
    }
    // The root of a tree may have been asked for without a slash: then relative links would break.
    if (exchange.rest().empty() && exchange.path().back() != '/') {
        return redirect_to(exchange, encoded(exchange.path()) + "/", 301);
    }
    OwnedFd file = open_beneath(root.fd.get(), path);
    struct stat state {};
    if (!file || ::fstat(file.get(), &state) != 0) return exchange.respond(status_of_errno(errno));
    if (S_ISDIR(state.st_mode) && !names_directory) {
        return redirect_to(exchange, encoded(exchange.path()) + "/", 301);
    }
    if (!S_ISREG(state.st_mode)) return exchange.respond(404);
    send_file(exchange, std::move(file), state, media_type(path));
}

}  // namespace

Handler fixed_content(std::string content, const std::string& type) {
    struct Prepared {
        std::string content;
        Response response;
    };
    auto prepared = std::make_shared<Prepared>();
    prepared->content = std::move(content);
    std::error_code error = prepared->response.set_data(prepared->content);
    if (!error) error = prepared->response.headers().set("Content-Type", type);
    if (error) throw std::invalid_argument("no header can hold this type: \"" + type + "\"");
    return [prepared = std::shared_ptr<const Prepared>(std::move(prepared))](Exchange& exchange) {
        exchange.response() = prepared->response;
        exchange.respond();
    };
}

Handler redirect(std::string location, int status) {
    constexpr int kStatuses[] = {301, 302, 303, 307, 308};
    if (std::ranges::find(kStatuses, status) == std::end(kStatuses)) {
        throw std::invalid_argument("not a status of a redirect: " + std::to_string(status) +
                                    "; use 301, 302, 303, 307 or 308");
    }
    Headers trial;
    if (location.empty() || trial.set("Location", location)) {
        throw std::invalid_argument("no header can hold this location: \"" + location + "\"");
    }
    return [location = std::move(location), status](Exchange& exchange) {
        redirect_to(exchange, location, status);
    };
}

Handler file(std::string path, std::string type) {
    if (type.empty()) type = media_type(path);
    return [path = std::move(path), type = std::move(type)](Exchange& exchange) {
        if (!answers(exchange)) return;
        OwnedFd file(::open(path.c_str(), kOpenFlags));
        struct stat state {};
        if (!file || ::fstat(file.get(), &state) != 0) {
            return exchange.respond(status_of_errno(errno));
        }
        if (!S_ISREG(state.st_mode)) return exchange.respond(404);
        send_file(exchange, std::move(file), state, type);
    };
}

Handler directory(const std::string& root, DirectoryOptions options) {
    OwnedFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        throw std::system_error(errno, std::system_category(),
                                "cannot serve \"" + root + "\" as a directory");
    }
    auto shared = std::make_shared<Root>(Root{std::move(fd), std::move(options)});
    return [shared = std::move(shared)](Exchange& exchange) { serve_directory(*shared, exchange); };
}

}  // namespace uaio::http
