#include "engine/default_log.h"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>

namespace uaio {
namespace {

// Messages with the same hash share a limit, which is no harm. Atomics and no lock: a child of
// fork(2) may log, and a lock might be held for ever there.
struct Limit {
    std::atomic<std::int64_t> period_began{INT64_MIN / 2};
    std::atomic<unsigned> lines{0};
};
constinit std::array<Limit, 64> limits{};

// False: leave it out. `missed`: how many were left out before this one.
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

// To a pipe without a reader; the message is not worth the program.
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

iovec entry(std::string_view text) noexcept {
    return {const_cast<char*>(text.data()), text.size()};
}

}  // namespace

void log_to_standard_error(LogLevel level, std::string_view text) noexcept {
    unsigned missed = 0;
    if (level == LogLevel::info || !admit(text, missed)) return;
    char more[64] = "";
    if (missed > 0) {
        std::snprintf(more, sizeof more, " (%u more like this were not logged)", missed);
    }
    const iovec line[] = {entry("uaio: "), entry(text), entry(more), entry("\n")};
    const int error = errno;
    const NoSigpipe no_signal;
    [[maybe_unused]] const ssize_t written = ::writev(STDERR_FILENO, line, std::size(line));
    errno = error;
}

}  // namespace uaio
