#include "transport/http/server/file_response.h"

#include "base/check.h"
#include "engine/core.h"
#include "transport/file/file_reader.h"
#include "transport/http/format/message_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace uaio::http {
namespace {

// Bytes of a large file that are read and sent at a time. They are read into the sender's memory
// and not mapped: reading a mapping of a file that another process has truncated raises SIGBUS, and
// a stream that encrypts reads it in this process. (sendfile(2) would not help there, and blocks on
// a socket that is not O_NONBLOCK, on which io_uring does not wait.)
constexpr std::size_t kPiece = 128 * 1024;

void set_length(Response& response, std::uint64_t size) {
    throw_if(response.headers().set("Content-Length", std::to_string(size)));
}

std::optional<FileState> state_now(int fd) noexcept {
    struct stat state {};
    if (::fstat(fd, &state) != 0) return std::nullopt;
    return state_of(state);
}

// Reverts the changes of choose() and read_content() to a response.
void withdraw(Response& response) noexcept {
    response.clear_content();
    for (const char* name : {"ETag", "Last-Modified", "Accept-Ranges", "Content-Range",
                             "Content-Type", "Content-Length"}) {
        response.headers().erase(name);
    }
}

void respond_with_error(Exchange& exchange) noexcept {
    withdraw(exchange.response());
    exchange.respond(500);
}

void log_failure(const Exchange& exchange, const std::string& what) {
    std::string text = "sending the file for " + std::string(exchange.request().target());
    EngineCore::of(exchange.engine()).log(LogLevel::warning, text + " failed: " + what);
}

// Sends a part of a file: reads one piece while the previous one is sent. Frees itself.
class FileSender {
public:
    FileSender(Exchange& exchange, OwnedFd file, const FileState& state, std::string_view type,
               const FilePart& part)
        : exchange_(exchange),
          file_(std::move(file)),
          state_(state),
          type_(type),
          size_(part.size),
          offset_(part.offset),
          unread_(part.size),
          reader_(file_.get()),
          read_(exchange.engine(), [this](Aio&) { on_read(); }),
          write_(exchange.engine(), [this](Aio&) { on_written(); }) {
        const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(size_, kPiece));
        for (auto& buffer : buffers_)
            buffer = std::make_unique_for_overwrite<char[]>(room);
    }

    // Sends the head after the first piece was read, so that an unreadable file still gets an error
    // status.
    void start() noexcept { read(); }

private:
    void read() noexcept {
        DCHECK(!reading_ && filled_ == 0 && unread_ > 0);
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(unread_, kPiece));
        read_.set_iov(buffers_[back_].get(), size);
        read_.set_timeout(exchange_.send_timeout(size));
        reading_ = true;
        reader_.read_all(read_, offset_);
    }

    void write() noexcept {
        DCHECK(begun_ && !writing_ && filled_ > 0);
        const std::size_t size = std::exchange(filled_, 0);
        write_.set_iov(buffers_[back_].get(), size);
        back_ = 1 - back_;
        write_.set_timeout(exchange_.send_timeout(size));
        writing_ = true;
        exchange_.writer().write(write_);
    }

    void begin() noexcept {
        DCHECK(!begun_ && !writing_ && filled_ > 0);
        begun_ = true;
        writing_ = true;
        write_.set_timeout(exchange_.send_timeout(0));
        exchange_.begin(write_);
    }

    void on_read() noexcept {
        reading_ = false;
        DCHECK(filled_ == 0 && read_.count() <= unread_);
        filled_ = read_.count();
        offset_ += filled_;
        unread_ -= filled_;
        if (read_.result() == Errc::end_of_stream) {
            error_ = Errc::truncated;
        } else if (read_.result()) {
            error_ = read_.result();
        }
        if (begun_) return go_on();
        error_ ? refuse() : begin();
    }

    void on_written() noexcept {
        writing_ = false;
        if (write_.result()) {
            write_failed_ = true;
            if (!error_) error_ = write_.result();
            if (reading_) read_.cancel();
        }
        go_on();
    }

    // Sends the bytes read before an error, and then closes the connection.
    void go_on() noexcept {
        if (!writing_ && filled_ > 0 && !write_failed_) write();
        if (!reading_ && filled_ == 0 && unread_ > 0 && !error_) read();
        if (reading_ || writing_) return;
        error_ ? abort() : end();
    }

    // Nothing was sent yet: if the file has become shorter, starts again with its new state.
    void refuse() noexcept {
        DCHECK(!begun_ && !reading_ && !writing_);
        const std::unique_ptr<FileSender> self(this);
        Exchange& exchange = exchange_;
        const std::optional<FileState> now = state_now(file_.get());
        if (error_ != Errc::truncated || !now || now->size >= state_.size) {
            log();
            return respond_with_error(exchange);
        }
        withdraw(exchange.response());
        try {
            send_file(exchange, std::move(file_), *now, type_);
        } catch (const std::exception&) {
            respond_with_error(exchange);
        }
    }

    void end() noexcept {
        DCHECK(unread_ == 0 && filled_ == 0);
        exchange_.end();
        delete this;
    }

    void abort() noexcept {
        DCHECK(error_ && !reading_ && !writing_);
        if (!write_failed_) log();
        exchange_.abort(error_);
        delete this;
    }

    void log() const noexcept {
        try {
            const std::string rest = std::to_string(unread_) + " of " + std::to_string(size_);
            log_failure(exchange_, error_ == Errc::truncated
                                       ? "the file was truncated; " + rest + " bytes are missing"
                                       : error_.message() + "; " + rest + " bytes were not read");
        } catch (const std::bad_alloc&) {  // the access log has the error too
        }
    }

    Exchange& exchange_;
    OwnedFd file_;
    const FileState state_;
    const std::string_view type_;
    const std::uint64_t size_;
    std::uint64_t offset_;    // of the next read
    std::uint64_t unread_;    // bytes not yet read
    std::size_t filled_ = 0;  // bytes of the back buffer not yet sent
    std::size_t back_ = 0;    // the buffer being read into; the other is being sent
    std::array<std::unique_ptr<char[]>, 2> buffers_;
    std::error_code error_;  // the first
    bool begun_ = false;     // the write of the head has started
    bool reading_ = false;
    bool writing_ = false;
    bool write_failed_ = false;
    FileReader reader_;
    Aio read_;
    Aio write_;
};

}  // namespace

int status_of_errno(int error) noexcept {
    switch (error) {
        case EACCES:
        case EPERM: return 403;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EAGAIN: return 503;  // a lease on the file is being broken (fcntl(2), F_SETLEASE)
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case EXDEV:  // openat2(2): the path leads out of the root
        case ENAMETOOLONG:
        case EILSEQ:  // a name that the file system does not allow
        case ENXIO:   // a socket, or a device without a driver
        case ENODEV: return 404;
        default: return 500;
    }
}

FileState state_of(const struct stat& state) noexcept {
    return {.size = static_cast<std::uint64_t>(state.st_size),
            .modified = state.st_mtim.tv_sec,
            .modified_ns = static_cast<std::uint32_t>(state.st_mtim.tv_nsec)};
}

void throw_if(std::error_code error) {
    if (error == Errc::not_enough_memory) throw std::bad_alloc();
    if (error) throw std::system_error(error);
}

bool choose(Exchange& exchange, const FileState& state, std::string_view type, FilePart& part) {
    Response& response = exchange.response();
    throw_if(choose_part(exchange.request(), state, response, part));
    if (part.status == 412 || part.status == 416) return exchange.respond(part.status), false;
    throw_if(response.set_status(part.status));
    if (part.status == 304) return exchange.respond(), false;
    throw_if(response.headers().set("Content-Type", type));
    if (exchange.request().method() != "HEAD") return true;
    set_length(response, part.size);
    exchange.respond();
    return false;
}

bool read_content(int fd, std::uint64_t offset, std::size_t size, Response& response) {
    ContentBuffer& content = MessageReader::content(response);
    content.resize(size);
    if (read_at(fd, content.data(), size, offset) != static_cast<ssize_t>(size)) return false;
    set_length(response, size);
    return true;
}

void send_file(Exchange& exchange, OwnedFd file, const FileState& state, std::string_view type) {
    std::optional<FileState> known = state;
    for (;;) {
        FilePart part;
        if (!choose(exchange, *known, type, part)) return;
        Response& response = exchange.response();
        if (part.size > kSmallFile) {
            auto sender =
                std::make_unique<FileSender>(exchange, std::move(file), *known, type, part);
            set_length(response, part.size);
            return sender.release()->start();
        }
        const auto size = static_cast<std::size_t>(part.size);
        if (read_content(file.get(), part.offset, size, response)) return exchange.respond();
        const std::uint64_t before = known->size;
        known = state_now(file.get());
        if (!known || known->size >= before) {
            log_failure(exchange, "the file is shorter than its size, or cannot be read");
            return respond_with_error(exchange);
        }
        withdraw(response);
    }
}

}  // namespace uaio::http
