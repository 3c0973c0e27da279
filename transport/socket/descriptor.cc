#include "transport/socket/descriptor.h"

#include "base/check.h"

#include <sys/socket.h>

namespace uaio {
namespace {

// Closing a socket with unread data resets the connection and loses data in flight to the peer (RFC
// 2525 section 2.17). So received bytes are discarded first, up to this many; bytes that arrive
// after close(2) reset the connection, as RFC 1122 section 4.2.2.13 requires.
constexpr std::size_t kDiscardBytes = 1 << 20;
constexpr int kDiscardRounds = 16;

}  // namespace

Descriptor::Descriptor(EngineCore& core, int fd) noexcept
    : EngineObject(core), visible_fd_(fd), fd_(fd) {
    DCHECK(fd >= 0);
}

// A child of fork(2) closed its copy and frees nothing.
Descriptor::~Descriptor() { DCHECK(state_ >= State::closed && native_handle() == -1); }

void Descriptor::close_here() noexcept {
    DCHECK(core().on_thread());
    if (state_ != State::open) return;
    state_ = State::closing;
    visible_fd_.store(-1, std::memory_order_relaxed);
    // Before the cancels: shutdown(2) alone ends operations of the kernel on the socket.
    if (!closed_early_) end_transfer();
    end_operations();
    core().loop().announce_work();
    close_if_unused();
}

bool Descriptor::close_unbound() noexcept {
    return core().thread().run_if_unbound([this] {
        if (closed_early_ || state_ != State::open) return;
        DCHECK(!in_kernel() && !holds_aios());  // nothing starts before a thread runs the engine
        visible_fd_.store(-1, std::memory_order_relaxed);
        end_transfer();
        core().kernel().close(fd_);
        closed_early_ = true;
    });
}

void Descriptor::close_if_unused() noexcept {
    if (state_ != State::closing || in_kernel()) return;
    // Before the close, so that a child forked in between does not close a descriptor that another
    // thread opened meanwhile.
    DCHECK(native_handle() == -1);  // its number may belong to another file soon
    state_ = State::closed;
    if (!closed_early_) close_descriptor();
    on_closed();
}

// An open descriptor is not released, since release_here() closes it.
void Descriptor::close_further() noexcept {
    close_if_unused();
    destroy_if_idle();
}

void Descriptor::close_descriptor() noexcept {
    for (int round = 0; round < kDiscardRounds && may_have_unread(); ++round) {
        if (core().kernel().discard_received(fd_, kDiscardBytes) <= 0) break;
    }
    core().kernel().close(fd_);
    core().shortage().on_descriptor_free();
}

void Descriptor::close_inherited() noexcept {
    if (state_ >= State::closed || closed_early_) return;
    state_ = State::closed;
    visible_fd_.store(-1, std::memory_order_relaxed);
    core().kernel().close(fd_);
}

void Descriptor::on_engine_destroyed(bool) noexcept {
    DCHECK(state_ != State::orphaned);
    if (state_ < State::closed && !closed_early_) core().kernel().close(fd_);
    visible_fd_.store(-1, std::memory_order_relaxed);
    state_ = State::orphaned;
}

}  // namespace uaio
