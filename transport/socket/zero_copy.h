// Decides for one connection which of its sends the kernel takes from the user's memory. Engine's
// thread only.
#pragma once

#include <uaio/stream.h>

#include "base/check.h"
#include "engine/kernel/kernel.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace uaio {

class ZeroCopyChoice {
public:
    ZeroCopyChoice(ZeroCopy option, const Features& features) noexcept;

    // False for a send that is copied in any case, such as a small one.
    bool may_send(std::size_t bytes) const noexcept { return bytes >= least_; }

    // The least for which it is true.
    std::size_t least() const noexcept { return least_; }

    // A send to decide about. REQUIRES: may_send(bytes).
    struct Send {
        std::size_t bytes;
        std::size_t entries;
        bool has_deadline;
        std::int64_t now_ns;
    };
    // True: send without a copy, and call on_begin() if that is done. The first call asks the
    // kernel for the addresses of `fd`.
    bool should_send(Kernel& kernel, int fd, const Send& send) noexcept;

    void on_begin() noexcept {
        if (history_) ++history_->unreported;
    }
    // The result of a send that no notification follows.
    void on_end_without_notification() noexcept;
    // The kernel no longer uses the bytes of a send. `copied`: it copied them after all.
    void on_notification(bool copied) noexcept;
    // The send failed with -ENOMEM: no more pages can be locked now.
    void on_no_memory() noexcept;
    // No later send is sent without a copy.
    void end() noexcept { least_ = kNever; }

    // The last queued write was sent, and Aios wait for notifications.
    void on_idle(std::int64_t now_ns) noexcept {
        DCHECK(is_automatic());
        history_->idle_since_ns = now_ns;
    }
    // An Aio with `bytes` bytes ended by its notification; `idle`: the stream has sent nothing
    // since on_idle().
    void on_release(std::size_t bytes, bool idle, std::int64_t now_ns) noexcept;

    // True if the program's own writes can be slowed down: on_idle() and on_release() matter.
    bool is_automatic() const noexcept { return history_ != nullptr; }

private:
    static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

    enum class State : std::uint8_t {
        unknown,  // nothing was sent yet
        trial,    // the next send is the only one without a report
        proven,   // the kernel does not copy
        paused,   // copies so many large writes, then tries again
    };

    bool invariants_hold() const noexcept;
    void pause() noexcept;
    void prove() noexcept;
    void count_wait(std::int64_t now_ns) noexcept;

    // Of ZeroCopy::automatic alone.
    struct History {
        std::int64_t idle_since_ns = 0;
        std::int64_t released_ns = 0;  // the last release on an idle stream
        std::int64_t wait_ns = 0;      // the wait that it ended; 0: counted, or none
        std::uint64_t bytes = 0;       // released since the last wait that was too long
        std::uint32_t unreported = 0;  // sends without a notification yet
        std::uint32_t pause = 0;       // large writes of the next pause
        std::uint32_t left = 0;        // large writes to copy, while paused
        std::uint8_t releases = 0;     // of this period
        std::uint8_t long_waits = 0;   // of this period
        std::uint8_t copied = 0;       // reports of copies, one after the other
        State state = State::unknown;
    };

    std::size_t least_ = kNever;
    std::unique_ptr<History> history_;
};

}  // namespace uaio
