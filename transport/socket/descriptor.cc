#include "transport/socket/descriptor.h"

#include <sys/socket.h>

namespace uaio {
namespace {

// A socket closed with unread data resets the connection, and what was still on its way to the peer
// is lost (RFC 2525 section 2.17). So what has arrived is thrown away first, up to this much; what
// arrives behind close(2) resets the connection, as RFC 1122 section 4.2.2.13 wants it.
constexpr std::size_t kDiscardBytes = 1 << 20;
constexpr int kDiscardRounds = 16;

}  // namespace

Descriptor::Descriptor(EngineCore& core, int fd) noexcept : core_(core), visible_fd_(fd), fd_(fd) {}

void Descriptor::enroll() noexcept {
    if (core_.on_thread()) {
        core_.add_resident(*this);
        return;
    }
    post(registering_, [](MailboxEntry& entry) noexcept {
        Descriptor& self = static_cast<Mail&>(entry).descriptor;
        self.core_.add_resident(self);
    });
}

Descriptor::~Descriptor() {
    if (!engine_gone_.load(std::memory_order_relaxed)) core_.remove_resident(*this);
}

void Descriptor::post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept {
    mail.deliver = deliver;
    mailed_.store(true, std::memory_order_relaxed);
    core_.post(mail);
}

void Descriptor::close() noexcept {
    if (engine_gone_.load(std::memory_order_acquire)) return;
    if (core_.is_forked()) return close_inherited();
    if (core_.on_thread()) return close_here();
    if (close_asked_.exchange(true, std::memory_order_relaxed)) return;
    post(closing_,
         [](MailboxEntry& entry) noexcept { static_cast<Mail&>(entry).descriptor.close_here(); });
}

void Descriptor::release() noexcept {
    if (engine_gone_.load(std::memory_order_acquire)) {
        delete this;
        return;
    }
    if (core_.is_forked()) return close_inherited();  // the parent's queues may name this object
    // Behind mail that another thread sent and that has not come yet, since it lies in this object.
    if (core_.on_thread() && !mailed_.load(std::memory_order_relaxed)) return release_here();
    post(releasing_,
         [](MailboxEntry& entry) noexcept { static_cast<Mail&>(entry).descriptor.release_here(); });
}

void Descriptor::release_here() noexcept {
    released_ = true;
    if (state_ == State::open) {
        close_here();
    } else {
        let_go();
    }
}

void Descriptor::close_here() noexcept {
    if (state_ != State::open) return;
    state_ = State::closing;
    visible_fd_.store(-1, std::memory_order_relaxed);
    // Before the cancels: it ends what the kernel is doing on the socket by itself.
    if (!closed_early_) end_transfer();
    end_operations();
    core_.announce_work();
    let_go();
}

bool Descriptor::close_unbound() noexcept {
    return core_.run_if_unbound([this] {
        if (closed_early_ || state_ != State::open) return;
        visible_fd_.store(-1, std::memory_order_relaxed);
        end_transfer();
        core_.kernel().close(fd_);
        closed_early_ = true;
    });
}

void Descriptor::let_go() noexcept {
    if (state_ == State::closing && !in_kernel()) {
        // Before the close: a child that is forked in between closes nothing then, instead of what
        // another thread opened meanwhile.
        state_ = State::closed;
        if (!closed_early_) close_descriptor();
        on_closed();
    }
    if (state_ == State::closed && released_ && !holds_aios()) delete this;
}

void Descriptor::close_descriptor() noexcept {
    for (int round = 0; round < kDiscardRounds; ++round) {
        if (core_.kernel().discard_received(fd_, kDiscardBytes) <= 0) break;
    }
    core_.kernel().close(fd_);
    core_.shortage().on_descriptor_free();
}

void Descriptor::close_inherited() noexcept {
    if (state_ == State::closed || closed_early_) return;
    state_ = State::closed;
    visible_fd_.store(-1, std::memory_order_relaxed);
    core_.kernel().close(fd_);
}

void Descriptor::orphan() noexcept {
    if (state_ != State::closed && !closed_early_) core_.kernel().close(fd_);
    visible_fd_.store(-1, std::memory_order_relaxed);
    state_ = State::closed;
    const bool ended = released_;
    engine_gone_.store(true, std::memory_order_release);  // from here on release() may free this
    if (ended) delete this;
}

}  // namespace uaio
