// An object that holds descriptors or operations on an engine, which closes it when it ends: a
// socket, a listener, a server. Engine's thread.
#pragma once

#include "base/check.h"

namespace uaio {

class Resident {
public:
    // Begins to end every operation it holds with Errc::closed, and to close its descriptors. The
    // engine may call this more than once.
    virtual void begin_shutdown() noexcept = 0;
    // True when it has no operation, in the kernel or to be finished.
    virtual bool is_idle() const noexcept = 0;
    // The engine has ended, and the Resident is out of its list: only memory is left, which the
    // owner of the object frees.
    virtual void engine_destroyed() noexcept = 0;
    // In a child of fork(2): closes the child's copies of its descriptors, and touches nothing that
    // it shares with the parent.
    virtual void close_inherited() noexcept {}

protected:
    ~Resident() { DCHECK(!previous_resident_); }

private:
    friend class Residents;
    Resident* next_resident_ = nullptr;
    Resident** previous_resident_ = nullptr;
};

// The Residents of one engine.
class Residents {
public:
    // REQUIRES: in no list.
    void add(Resident& resident) noexcept {
        DCHECK(!resident.previous_resident_);
        resident.next_resident_ = first_;
        resident.previous_resident_ = &first_;
        if (first_) first_->previous_resident_ = &resident.next_resident_;
        first_ = &resident;
    }
    // No effect on a Resident in no list.
    void remove(Resident& resident) noexcept {
        if (!resident.previous_resident_) return;
        DCHECK(*resident.previous_resident_ == &resident);
        DCHECK(!resident.next_resident_ ||
               resident.next_resident_->previous_resident_ == &resident.next_resident_);
        *resident.previous_resident_ = resident.next_resident_;
        if (resident.next_resident_)
            resident.next_resident_->previous_resident_ = resident.previous_resident_;
        resident.previous_resident_ = nullptr;
    }

    bool are_idle() const noexcept {
        for (const Resident* at = first_; at; at = at->next_resident_) {
            if (!at->is_idle()) return false;
        }
        return true;
    }
    // Each calls that function of all Residents, which may remove themselves meanwhile.
    void begin_shutdown() noexcept {
        for (Resident* at = first_; at;) {
            Resident* const next = at->next_resident_;
            at->begin_shutdown();
            DCHECK(!next || next->previous_resident_);  // it removed only itself
            at = next;
        }
    }
    void close_inherited() noexcept {
        for (Resident* at = first_; at; at = at->next_resident_)
            at->close_inherited();
    }
    void engine_destroyed() noexcept {
        while (first_) {
            Resident& resident = *first_;
            remove(resident);
            resident.engine_destroyed();
        }
    }

private:
    Resident* first_ = nullptr;
};

}  // namespace uaio
