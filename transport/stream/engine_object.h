// An object on an engine whose handle may be destroyed on any thread and at any time. Registers
// with the engine, closes on the engine's thread, and frees itself when the handle is gone and no
// operation of it is left. Members are for the engine's thread unless noted.
#pragma once

#include <uaio/provider.h>

#include "base/check.h"
#include "engine/core.h"
#include "transport/stream/closing.h"

#include <atomic>
#include <cstdint>
#include <optional>

namespace uaio {

class EngineObject : public Resident {
public:
    EngineObject(const EngineObject&) = delete;
    EngineObject& operator=(const EngineObject&) = delete;

    // Any thread. Runs close_here() on the engine's thread.
    void close() noexcept;
    // Any thread, once, by the handle: closes, and frees this object when nothing of it is left.
    void release() noexcept;
    // Any thread. The engine was destroyed, or has ended with its thread: engine() and core() must
    // not be used.
    bool is_engine_gone() const noexcept { return life_.load(std::memory_order_acquire) & kGone; }
    // Any thread.
    Engine& engine() const noexcept { return core_.engine(); }
    Engine* engine_if_any() const noexcept { return is_engine_gone() ? nullptr : &engine(); }

    EngineCore& core() const noexcept { return core_; }
    // Call whenever an operation of this object has ended. May free this object.
    void destroy_if_idle() noexcept {
        if (released_ && finished() && !busy() && !has_mail()) delete this;
    }

    bool is_idle() const noexcept override { return !busy(); }
    void engine_destroyed() noexcept override;

protected:
    // Any thread.
    explicit EngineObject(EngineCore& core) noexcept;
    virtual ~EngineObject();
    // Registers this object with the engine, whose thread may call its virtual functions from then
    // on: the last step of the most derived class's constructor.
    void enroll() noexcept;

    // Begins to close; has no effect on an object that is closing or closed.
    virtual void close_here() noexcept = 0;
    // False while closing is under way.
    virtual bool finished() const noexcept = 0;
    // True while an operation of this object has not ended.
    virtual bool busy() const noexcept = 0;
    // Drops what needs the engine, which is about to be destroyed. With `idle` no operation is
    // left; otherwise the kernel did not return some in time, and may still write to their memory.
    virtual void on_engine_destroyed(bool idle) noexcept = 0;

    // Any thread. While an Arrival that is true exists, the engine lives, and mail to it arrives.
    // False: the engine has ended, or is about to, on another thread; it calls, or has called,
    // engine_destroyed(), and must not be used. The thread must not wait meanwhile.
    class Arrival {
    public:
        explicit Arrival(const EngineObject& object) noexcept
            : gate_(object.gate_), admitted_(EngineCore::turns_here(object.core_)) {
            if (!admitted_) enter(object);
        }
        ~Arrival() {
            if (counted_) gate_.leave();
        }
        Arrival(const Arrival&) = delete;
        Arrival& operator=(const Arrival&) = delete;
        explicit operator bool() const noexcept { return admitted_; }

    private:
        void enter(const EngineObject& object) noexcept;

        Gate& gate_;
        bool counted_ = false;
        bool admitted_;
    };
    // Any thread, refused by an Arrival: waits until the engine has called engine_destroyed().
    // Returns at once in a child of fork(2) where no thread will.
    void wait_until_engine_gone() const noexcept { gate_.wait_until_gone(gate_number_); }
    // Any thread. True after a close() of this thread, even if it has not arrived.
    bool is_close_asked() const noexcept { return close_asked_.load(std::memory_order_relaxed); }
    bool is_released() const noexcept { return released_; }
    // From now on no handle refers to this object.
    void mark_released() noexcept { released_ = true; }
    void release_here() noexcept;
    // As release(), and on another thread than the engine's waits until that one has called
    // closing.finish(); see Closing. `close_unbound`, a bool(), closes at once if no thread runs
    // the engine, else returns false.
    template <class CloseUnbound>
    void release_and_wait(Closing& closing, CloseUnbound close_unbound) noexcept {
        EngineCore& engine_core = core_;  // release() may free this
        std::optional<Visit> visit;
        {
            const Arrival arrival(*this);
            const bool elsewhere = arrival && !engine_core.on_thread();
            if (elsewhere && !close_unbound()) visit.emplace(engine_core.gate());
            EngineObject::release();
        }
        // An engine that is about to end has closed this.
        if (visit) closing.wait(engine_core);
        closing.drop();
    }

    // A member of this object, which is not freed while one is in the engine's mailbox.
    struct Mail : MailboxEntry {
        explicit Mail(EngineObject& owner) noexcept : object(owner) {}
        EngineObject& object;
    };
    // Any thread. `deliver` runs on the engine's thread, and must call arrived() first.
    void post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept;
    void arrived() noexcept {
        [[maybe_unused]] const auto before = mailed_.fetch_sub(1, std::memory_order_relaxed);
        DCHECK(before > 0 && core_.on_thread());
    }

private:
    bool has_mail() const noexcept { return mailed_.load(std::memory_order_relaxed) > 0; }

    // Bits of life_. The engine and the handle each set one; the second to do so frees this.
    static constexpr std::uint8_t kGone = 1;      // engine_destroyed() has been called
    static constexpr std::uint8_t kReleased = 2;  // release() has left the rest to the engine

    EngineCore& core_;
    Gate& gate_;
    const unsigned gate_number_;
    bool released_ = false;
    std::atomic<bool> close_asked_{false};
    std::atomic<std::uint8_t> life_{0};
    std::atomic<std::uint8_t> mailed_{0};  // members of type Mail in the mailbox
    Mail registering_{*this};
    Mail closing_{*this};
    Mail releasing_{*this};
};

// Ends an operation of an object whose engine is gone, on the Aio's own engine: with Errc::closed,
// or Errc::canceled on a stopped Aio. Any thread.
void refuse_without_engine(Aio& aio) noexcept;

// Provider::submit() for an operation of `object`, an EngineObject, whose engine may be gone. Any
// thread. As there, false if `starter` will not run.
template <class Object>
bool submit_for(Object& object, Aio& aio, Starter starter, void* argument = nullptr) noexcept {
    if (object.is_engine_gone()) [[unlikely]] {
        refuse_without_engine(aio);
        return false;
    }
    return Provider::submit(object.engine(), aio, starter, &object, argument);
}

}  // namespace uaio
