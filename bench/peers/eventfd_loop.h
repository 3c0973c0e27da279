// A raw liburing loop that other threads hand tasks to through one slot and an eventfd(2), which is
// how a program without the library would wake its ring. It runs on a thread of its own on the
// other processor; post() is for one other thread, one task at a time.
#pragma once

#include "bench/support/loopback.h"

#include <atomic>
#include <cstdint>
#include <thread>

namespace uaio::bench {

class EventfdLoop {
public:
    using Task = void (*)(void* argument);

    // What a busy loop always has under way.
    static constexpr unsigned kNops = 32;

    // `busy`: the loop has kNops NOPs of its own, submitted again as they complete, and never
    // sleeps. Throws Unavailable if the kernel refuses the ring.
    explicit EventfdLoop(bool busy);
    ~EventfdLoop();
    EventfdLoop(const EventfdLoop&) = delete;
    EventfdLoop& operator=(const EventfdLoop&) = delete;

    void post(Task task, void* argument);

private:
    enum class State { starting, running, failed, stopping };

    void run() noexcept;
    void loop();

    const bool busy_;
    Descriptor event_;
    std::uint64_t event_value_ = 0;
    void* argument_ = nullptr;
    std::atomic<Task> task_{nullptr};
    std::atomic<State> state_{State::starting};
    std::thread thread_;
};

}  // namespace uaio::bench
