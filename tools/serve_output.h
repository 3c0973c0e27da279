// Standard output of uaio-serve: lines from any thread, buffered in memory and written by the main
// thread, so that no engine waits for a slow disk or an unread pipe. Lines beyond a limit, and
// lines that cannot be written, are dropped, counted and reported on standard error.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::serve {

// Writes to standard error, unless that would block.
inline void complain(const std::string& text) {
    const std::string line = "uaio-serve: " + text + '\n';
    pollfd error{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&error, 1, 0) != 1) return;
    static_cast<void>(
        !::write(STDERR_FILENO, line.data(), std::min<std::size_t>(line.size(), PIPE_BUF)));
}

class Output {
public:
    Output() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (event_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
        kept_.reserve(kMost);
        writing_.reserve(kMost);
    }
    ~Output() { ::close(event_); }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    // Any thread. Allocates nothing.
    void line(std::string_view text) noexcept {
        const std::lock_guard lock(mutex_);
        if (broken_ || kept_.size() + text.size() + 1 > kMost) {
            if (lost_++ == 0) wake();
            return;
        }
        const std::size_t before = kept_.size();
        kept_.append(text).push_back('\n');
        if (before == 0 || (before < kHurry && kept_.size() >= kHurry)) wake();
    }
    // Counts a line that could not be formatted.
    void lose() noexcept {
        const std::lock_guard lock(mutex_);
        if (lost_++ == 0) wake();
    }

    // The rest is for the main thread.

    // Readable when standard output may need the main thread.
    int event() const noexcept { return event_; }
    void clear_event() noexcept {
        std::uint64_t count = 0;
        static_cast<void>(!::read(event_, &count, sizeof count));
    }

    // Makes event() readable. Any thread.
    void wake() noexcept {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(event_, &one, sizeof one));
    }

    // Milliseconds until the next write(): 0 if it waits only for room in standard output, -1 if
    // there is nothing to write.
    int pause_ms() noexcept {
        if (!writing_.empty()) return 0;
        const std::lock_guard lock(mutex_);
        if (kept_.empty()) return -1;
        if (kept_.size() >= kHurry) return 0;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_ - Clock::now());
        return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }

    // Writes due lines while there is room: room for one byte is room for PIPE_BUF (pipe(7)).
    void write() {
        report_loss();
        if (writing_.empty() && pause_ms() == 0) take();
        while (!writing_.empty() && has_room()) {
            const std::size_t left = writing_.size() - written_;
            const std::size_t most = blocks_ ? std::min<std::size_t>(left, PIPE_BUF) : left;
            const ssize_t count = ::write(STDOUT_FILENO, writing_.data() + written_, most);
            if (count < 0) {
                if (errno != EINTR && errno != EAGAIN) fail(errno);
                return;
            }
            written_ += static_cast<std::size_t>(count);
            if (written_ == writing_.size()) writing_.clear();
        }
    }

    // Writes the buffered lines, waiting up to `patience` for room; then reports all lost lines.
    void finish(std::chrono::milliseconds patience) {
        const Clock::time_point limit = Clock::now() + patience;
        for (write_now(); pause_ms() >= 0; write_now()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now());
            pollfd output{STDOUT_FILENO, POLLOUT, 0};
            if (left.count() <= 0 || ::poll(&output, 1, static_cast<int>(left.count())) == 0) break;
        }
        const std::lock_guard lock(mutex_);
        lost_ += lines(kept_) + lines(unwritten());
        if (lost_ != 0) complain(std::to_string(lost_) + " lines of the output were lost");
    }

private:
    using Clock = std::chrono::steady_clock;

    static constexpr std::size_t kMost = std::size_t{1} << 20;    // buffered for a slow reader
    static constexpr std::size_t kHurry = std::size_t{64} << 10;  // more is written at once
    static constexpr std::chrono::milliseconds kPause{200};       // between small writes

    static std::uint64_t lines(std::string_view text) {
        return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
    }

    std::string_view unwritten() const {
        return writing_.empty() ? std::string_view() : std::string_view(writing_).substr(written_);
    }

    void write_now() {
        next_ = Clock::time_point();
        write();
    }

    // Files accept everything at once.
    static bool may_block() {
        struct stat what {};
        return ::fstat(STDOUT_FILENO, &what) != 0 || !S_ISREG(what.st_mode);
    }

    static bool has_room() {
        pollfd output{STDOUT_FILENO, POLLOUT, 0};
        return ::poll(&output, 1, 0) == 1;
    }

    void take() {
        const std::lock_guard lock(mutex_);
        writing_.swap(kept_);
        written_ = 0;
        next_ = Clock::now() + kPause;
    }

    // Drops lines that cannot be written. A full disk may have room later; a closed pipe stays
    // closed.
    void fail(int error) {
        const std::lock_guard lock(mutex_);
        lost_ += lines(unwritten());
        writing_.clear();
        if (error == EPIPE || error == EBADF) {
            broken_ = true;
            lost_ += lines(kept_);
            kept_.clear();
        }
        if (!reported_)
            complain("standard output: " + std::string(std::strerror(error)) + "; lines are lost");
        reported_ = true;
    }

    void report_loss() {
        const std::lock_guard lock(mutex_);
        if (lost_ == 0 || reported_) return;
        complain("standard output is not read fast enough; lines are lost");
        reported_ = true;
    }

    const int event_;
    const bool blocks_ = may_block();
    std::mutex mutex_;  // of the next three
    std::string kept_;  // in the order of line()
    std::uint64_t lost_ = 0;
    bool broken_ = false;
    std::string writing_;  // taken from kept_
    std::size_t written_ = 0;
    Clock::time_point next_{};
    bool reported_ = false;
};

}  // namespace uaio::serve
