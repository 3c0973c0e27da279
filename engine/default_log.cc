#include "engine/default_log.h"

#include "base/check.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <ctime>

namespace uaio {
namespace {

// Messages with the same hash share a limit, which is harmless. Atomics and no lock: a child of
// fork(2) may log, where a lock might be held for ever.
struct Limit {
    std::atomic<std::int64_t> period_began{INT64_MIN / 2};
    std::atomic<unsigned> lines{0};
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);
static_assert(std::atomic<unsigned>::is_always_lock_free);
constinit std::array<Limit, 64> limits{};

// False if the message is to be left out. `missed`: the number left out before this one.
bool admit(std::string_view text, unsigned& missed) noexcept {
    std::uint32_t hash = 2166136261U;  // FNV-1a
    for (const char character : text)
        hash = (hash ^ static_cast<unsigned char>(character)) * 16777619U;
    Limit& limit = limits[hash % limits.size()];
    const std::int64_t now = Clock::now().time_since_epoch().count();
    std::int64_t began = limit.period_began.load(std::memory_order_relaxed);
    missed = 0;
    if (now - began >= std::chrono::nanoseconds(kDefaultLogPeriod).count() &&
        limit.period_began.compare_exchange_strong(began, now, std::memory_order_relaxed)) {
        const unsigned lines = limit.lines.exchange(1, std::memory_order_relaxed);
        missed = lines > kDefaultLogLines ? lines - kDefaultLogLines : 0;
        return true;
    }
    return limit.lines.fetch_add(1, std::memory_order_relaxed) < kDefaultLogLines;
}

// Blocks SIGPIPE, which a write to a pipe without a reader raises: a message must not end the
// program.
class NoSigpipe {
public:
    NoSigpipe() noexcept {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoSigpipe() {
        const timespec no_time{};
        if (!was_pending_) ::sigtimedwait(&pipe_, nullptr, &no_time);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoSigpipe(const NoSigpipe&) = delete;
    NoSigpipe& operator=(const NoSigpipe&) = delete;

private:
    sigset_t pipe_;
    sigset_t before_;
    bool was_pending_;
};

bool is_control(std::string_view text, std::size_t at) noexcept {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7f) return true;
    // U+0080 to U+009F, which UTF-8 writes as 0xc2 and that byte.
    const auto is_c1 = [&](std::size_t first) {
        return first + 1 < text.size() && text[first] == '\xc2' && (text[first + 1] & 0xe0) == 0x80;
    };
    return is_c1(at) || (at > 0 && is_c1(at - 1));
}

// A line that a pipe takes as a whole (pipe(7), PIPE_BUF).
class Line {
public:
    // Control characters become "\x" and two digits: the text of an exception may hold bytes of a
    // peer, which must neither begin a line nor command a terminal.
    void add(std::string_view text) noexcept {
        constexpr std::string_view kDigits = "0123456789abcdef";
        for (std::size_t i = 0; i < text.size() && !is_full_; ++i) {
            if (!is_control(text, i)) {
                append(text.substr(i, 1));
                continue;
            }
            const auto byte = static_cast<unsigned char>(text[i]);
            const char escaped[] = {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
            append({escaped, sizeof escaped});
        }
    }
    // The whole line; "..." replaces text that did not fit.
    std::string_view end(std::string_view more) noexcept {
        std::string_view dots = is_full_ ? "..." : "";
        DCHECK(size_ + dots.size() + more.size() + 1 <= bytes_.size());
        for (const std::string_view part : {dots, more, std::string_view("\n")})
            size_ += part.copy(bytes_.data() + size_, part.size());
        return {bytes_.data(), size_};
    }

private:
    static constexpr std::size_t kEnd = 100;  // reserved for end()

    void append(std::string_view text) noexcept {
        is_full_ = size_ + text.size() > bytes_.size() - kEnd;
        if (!is_full_) size_ += text.copy(bytes_.data() + size_, text.size());
    }

    std::array<char, PIPE_BUF> bytes_;
    std::size_t size_ = 0;
    bool is_full_ = false;
};

}  // namespace

void log_to_standard_error(LogLevel level, std::string_view text) noexcept {
    unsigned missed = 0;
    if (level == LogLevel::info || !admit(text, missed)) return;
    char more[64] = "";
    if (missed > 0) {
        std::snprintf(more, sizeof more, " (%u more like this were not logged)", missed);
    }
    Line line;
    line.add("uaio: ");
    line.add(text);
    const std::string_view whole = line.end(more);
    const int error = errno;
    {
        const NoSigpipe no_signal;
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, whole.data(), whole.size());
    }
    errno = error;
}

}  // namespace uaio
