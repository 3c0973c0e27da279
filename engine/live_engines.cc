#include "engine/live_engines.h"

#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <system_error>

namespace uaio {

// Static objects of a program may be destroyed after those of the library, so nothing here has a
// destructor.
class LiveEngines {
public:
    static void register_handlers() {
        static const int error = ::pthread_atfork(&before_fork, &after_fork, &in_child);
        if (error != 0) {
            throw std::system_error(error, std::system_category(),
                                    "uaio: not enough memory for the handlers of fork(2)");
        }
    }

    static void add(LiveEngine& engine) {
        const std::lock_guard lock(mutex_);
        DCHECK(!engine.previous_live_ && !engine.gate_);
        engine.gate_ = take_gate();
        engine.gate_number_ = engine.gate_->number_.load(std::memory_order_relaxed);
        DCHECK(engine.gate_number_ % 2 == 0);
        engine.next_live_ = first_;
        engine.previous_live_ = &first_;
        if (first_) first_->previous_live_ = &engine.next_live_;
        first_ = &engine;
    }

    static void remove(LiveEngine& engine) noexcept {
        const std::lock_guard lock(mutex_);
        DCHECK(engine.previous_live_ && *engine.previous_live_ == &engine);
        DCHECK(!engine.next_live_ || engine.next_live_->previous_live_ == &engine.next_live_);
        *engine.previous_live_ = engine.next_live_;
        if (engine.next_live_) engine.next_live_->previous_live_ = engine.previous_live_;
        engine.previous_live_ = nullptr;
        engine.gate_->next_free_ = free_gates_;
        free_gates_ = engine.gate_;
    }

    static void close_inherited() noexcept {
        const std::lock_guard lock(mutex_);
        for (LiveEngine* engine = first_; engine; engine = engine->next_live_)
            engine->close_inherited();
    }

    // Calls each without the lock, since its callbacks may make engines, fork or destroy engines.
    static void end_thread(std::uint64_t number) noexcept {
        while (LiveEngine* const engine = take_one_of(number))
            engine->on_thread_end();
    }

    static unsigned forks() noexcept { return forks_.load(std::memory_order_relaxed); }

private:
    // With the list locked.
    static Gate* take_gate() {
        if (Gate* const free = free_gates_) {
            free_gates_ = free->next_free_;
            return free;
        }
        auto* const made = new Gate;
        made->next_ = gates_;
        return gates_ = made;
    }

    static LiveEngine* take_one_of(std::uint64_t number) noexcept {
        DCHECK(number != 0);  // the number of engines that have no thread
        const std::lock_guard lock(mutex_);
        for (LiveEngine* engine = first_; engine; engine = engine->next_live_) {
            if (engine->thread_number_.load(std::memory_order_relaxed) != number) continue;
            engine->thread_number_.store(0, std::memory_order_relaxed);
            return engine;
        }
        return nullptr;
    }

    static void before_fork() noexcept { mutex_.lock(); }
    static void after_fork() noexcept { mutex_.unlock(); }
    static void in_child() noexcept {
        forks_.fetch_add(1, std::memory_order_relaxed);
        for (LiveEngine* engine = first_; engine; engine = engine->next_live_) {
            engine->thread_number_.store(0, std::memory_order_relaxed);
            engine->on_fork();
        }
        for (Gate* gate = gates_; gate; gate = gate->next_)
            gate->forget_threads();
        mutex_.unlock();
    }

    static constinit inline std::mutex mutex_;
    static constinit inline LiveEngine* first_ = nullptr;
    static constinit inline Gate* gates_ = nullptr;
    static constinit inline Gate* free_gates_ = nullptr;
    static constinit inline std::atomic<unsigned> forks_{0};
};

namespace {

constinit std::atomic<std::uint64_t> threads_with_engines{0};
// The number of this thread. An address is not enough: the next thread may get the same stack.
constinit thread_local std::uint64_t this_thread = 0;

struct ThreadEnd {
    ThreadEnd() noexcept { this_thread = threads_with_engines.fetch_add(1) + 1; }
    ~ThreadEnd() {
        if (::gettid() != ::getpid()) LiveEngines::end_thread(this_thread);
    }
    ThreadEnd(const ThreadEnd&) = delete;
    ThreadEnd& operator=(const ThreadEnd&) = delete;
};

void watch_this_thread() noexcept { static const thread_local ThreadEnd end; }

}  // namespace

void LiveEngine::list() {
    LiveEngines::register_handlers();
    watch_this_thread();
    LiveEngines::add(*this);
}

void LiveEngine::unlist() noexcept { LiveEngines::remove(*this); }

void LiveEngine::bind_to_this_thread() noexcept {
    watch_this_thread();
    DCHECK(thread_number_.load(std::memory_order_relaxed) == 0);
    thread_number_.store(this_thread, std::memory_order_relaxed);
}

void close_inherited_engines() noexcept { LiveEngines::close_inherited(); }

unsigned fork_count() {
    LiveEngines::register_handlers();
    return LiveEngines::forks();
}

}  // namespace uaio
