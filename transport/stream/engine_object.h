// What stays on the engine's side when its user's handle goes, on any thread and at any time: it is
// registered with the engine, is told on the engine's thread to close, and is freed when nothing of
// it is left anywhere. Members are for the engine's thread unless they say otherwise.
#pragma once

#include "engine/core.h"

#include <atomic>

namespace uaio {

class Held : public Resident {
public:
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    // Any thread. Asks for close_here().
    void close() noexcept;
    // Any thread, once, by whoever holds this: closes, and frees this when nothing is left.
    void release() noexcept;
    // Any thread.
    Engine& engine() const noexcept { return core_.face(); }

    EngineCore& core() noexcept { return core_; }
    // Called whenever an Aio of this object's has come back. May free this.
    void let_go() noexcept {
        if (released_ && finished() && !busy()) delete this;
    }

    bool quiet() const noexcept override { return !busy(); }
    void orphan() noexcept override;

protected:
    // On any thread.
    explicit Held(EngineCore& core) noexcept;
    virtual ~Held();
    // Makes it known to the engine. The last step of the constructor of the class that is made: the
    // engine's thread may call what is virtual from here on.
    void enroll() noexcept;

    // On the engine's thread, whatever state it is in.
    virtual void close_here() noexcept = 0;
    // Closed, and not just on the way there.
    virtual bool finished() const noexcept = 0;
    // An Aio is still to come back.
    virtual bool busy() const noexcept = 0;
    // The engine is gone: lets go of the Aios, if none is left anywhere.
    virtual void forget(bool idle) noexcept = 0;

    // Any thread. Nothing may be asked of the engine any more.
    bool is_engine_gone() const noexcept { return engine_gone_.load(std::memory_order_acquire); }
    // Nobody holds this from now on.
    void give_up() noexcept { released_ = true; }
    void release_here() noexcept;

    // Part of this object, which is not freed while one is in the engine's mailbox.
    struct Mail : MailboxEntry {
        explicit Mail(Held& target) noexcept : held(target) {}
        Held& held;
    };
    // Any thread. `deliver` runs on the engine's, and begins with arrived().
    void post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept;
    void arrived() noexcept { mailed_.fetch_sub(1, std::memory_order_relaxed); }

private:
    EngineCore& core_;
    bool released_ = false;
    std::atomic<bool> close_asked_{false};
    std::atomic<unsigned> mailed_{0};  // mail of this on its way
    std::atomic<bool> engine_gone_{false};
    Mail registering_{*this};
    Mail closing_{*this};
    Mail releasing_{*this};
};

}  // namespace uaio
