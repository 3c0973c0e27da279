#include "transport/stream/held.h"

namespace uaio {

Held::Held(EngineCore& core) noexcept : core_(core) {}

void Held::enroll() noexcept {
    if (core_.on_thread()) {
        core_.add_resident(*this);
        return;
    }
    post(registering_, [](MailboxEntry& entry) noexcept {
        Held& self = static_cast<Mail&>(entry).held;
        self.arrived();
        self.core_.add_resident(self);
    });
}

Held::~Held() {
    if (!engine_gone_.load(std::memory_order_relaxed)) core_.remove_resident(*this);
}

void Held::post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept {
    mail.deliver = deliver;
    mailed_.fetch_add(1, std::memory_order_relaxed);
    core_.post(mail);
}

void Held::close() noexcept {
    if (is_engine_gone() || core_.is_forked()) return;
    if (core_.on_thread()) return close_here();
    if (close_asked_.exchange(true, std::memory_order_relaxed)) return;
    post(closing_, [](MailboxEntry& entry) noexcept {
        Held& self = static_cast<Mail&>(entry).held;
        self.arrived();
        self.close_here();
    });
}

void Held::release() noexcept {
    if (is_engine_gone()) {
        if (!busy()) delete this;  // see orphan()
        return;
    }
    if (core_.is_forked()) return;  // the parent's lists may name this object, so it stays
    // Behind mail that another thread sent and that has not come yet, since it lies in this object.
    if (core_.on_thread() && mailed_.load(std::memory_order_relaxed) == 0) return release_here();
    post(releasing_,
         [](MailboxEntry& entry) noexcept { static_cast<Mail&>(entry).held.release_here(); });
}

void Held::release_here() noexcept {
    released_ = true;
    close_here();
    let_go();
}

// An operation that outlived its engine has nobody left to end it: its memory stays, since the
// kernel may still write there.
void Held::orphan() noexcept {
    const bool idle = !busy();
    forget(idle);
    const bool ended = released_ && (idle || !busy());    // forget() may have ended what was left
    engine_gone_.store(true, std::memory_order_release);  // from here on release() may free this
    if (ended) delete this;
}

}  // namespace uaio
