#include "transport/stream/engine_object.h"

#include "base/check.h"
#include "transport/stream/admit.h"

namespace uaio {

EngineObject::EngineObject(EngineCore& core) noexcept
    : core_(core), gate_(core.gate()), gate_number_(core.gate_number()) {}

void EngineObject::enroll() noexcept {
    if (core_.on_thread()) {
        core_.residents().add(*this);
        return;
    }
    post(registering_, [](MailboxEntry& entry) noexcept {
        EngineObject& self = static_cast<Mail&>(entry).object;
        self.arrived();
        self.core_.residents().add(self);
    });
}

EngineObject::~EngineObject() {
    if (life_.load(std::memory_order_relaxed) & kGone) return;
    DCHECK(!has_mail());
    core_.residents().remove(*this);
}

void EngineObject::post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept {
    DCHECK(&mail.object == this);  // which must stay until the mail has arrived
    mail.deliver = deliver;
    mailed_.fetch_add(1, std::memory_order_relaxed);
    core_.post(mail);
}

void EngineObject::Arrival::enter(const EngineObject& object) noexcept {
    if (gate_.enter(object.gate_number_)) {
        admitted_ = true;
        counted_ = !object.core_.on_thread();
        if (!counted_) gate_.leave();  // the engine ends on this thread, if at all
    } else {
        admitted_ = !object.is_engine_gone() && gate_.ends_here(object.gate_number_) &&
                    object.core_.on_thread();
    }
}

void EngineObject::close() noexcept {
    const Arrival arrival(*this);
    if (!arrival) return;
    if (core_.is_forked()) return close_inherited();
    if (core_.on_thread()) return close_here();
    if (close_asked_.exchange(true, std::memory_order_relaxed)) return;
    post(closing_, [](MailboxEntry& entry) noexcept {
        EngineObject& self = static_cast<Mail&>(entry).object;
        self.arrived();
        self.close_here();
    });
}

void EngineObject::release() noexcept {
    const Arrival arrival(*this);
    if (!arrival) {
        const std::uint8_t before = life_.fetch_or(kReleased, std::memory_order_acq_rel);
        if ((before & kGone) && !busy()) delete this;  // see engine_destroyed()
        return;
    }
    // The parent's lists may refer to this object, so its memory stays.
    if (core_.is_forked()) return close_inherited();
    if (!core_.on_thread()) {
        life_.fetch_or(kReleased, std::memory_order_release);  // in case this mail is dropped
        return post(releasing_, [](MailboxEntry& entry) noexcept {
            EngineObject& self = static_cast<Mail&>(entry).object;
            self.arrived();
            self.release_here();
        });
    }
    // Operations that other threads submitted, and mail in this object, may not have arrived. They
    // find a closed object, which is freed behind them.
    if (core_.loop().has_undelivered_mail()) {
        post(releasing_, [](MailboxEntry& entry) noexcept {
            EngineObject& self = static_cast<Mail&>(entry).object;
            self.arrived();
            self.destroy_if_idle();
        });
    }
    release_here();
}

void EngineObject::release_here() noexcept {
    DCHECK(!released_ && core_.on_thread());
    released_ = true;
    close_here();
    destroy_if_idle();
}

// An operation that outlived its engine never ends: its memory stays, since the kernel may still
// write there.
void EngineObject::engine_destroyed() noexcept {
    DCHECK(!is_engine_gone());
    const bool idle = !busy();
    on_engine_destroyed(idle);
    DCHECK(!idle || !busy());  // no operation may begin on an engine that is gone
    // on_engine_destroyed() may have ended what was left.
    const bool ended = idle || !busy();
    const bool released = released_;
    // From here on release() may free this.
    const std::uint8_t before = life_.fetch_or(kGone, std::memory_order_acq_rel);
    if (ended && (released || (before & kReleased))) delete this;
}

void refuse_without_engine(Aio& aio) noexcept {
    Provider::submit(
        aio.engine(), aio,
        [](Aio& refused) noexcept {
            Provider::finish(refused, admit_without_buffers(refused, true).refused);
        },
        nullptr);
}

}  // namespace uaio
