#include "transport/stream/engine_object.h"

#include "base/check.h"
#include "transport/stream/admit.h"

namespace uaio {

EngineObject::EngineObject(EngineCore& core) noexcept : core_(core) {}

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
    if (engine_gone_.load(std::memory_order_relaxed)) return;
    DCHECK(!has_mail());
    core_.residents().remove(*this);
}

void EngineObject::post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept {
    DCHECK(&mail.object == this);  // which must stay until the mail has arrived
    mail.deliver = deliver;
    mailed_.fetch_add(1, std::memory_order_relaxed);
    core_.post(mail);
}

void EngineObject::close() noexcept {
    if (is_engine_gone()) return;
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
    if (is_engine_gone()) {
        if (!busy()) delete this;  // see engine_destroyed()
        return;
    }
    // The parent's lists may refer to this object, so its memory stays.
    if (core_.is_forked()) return close_inherited();
    if (!core_.on_thread()) {
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
    const bool ended = released_ && (idle || !busy());
    engine_gone_.store(true, std::memory_order_release);  // from here on release() may free this
    if (ended) delete this;
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
