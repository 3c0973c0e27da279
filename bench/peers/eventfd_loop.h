// A raw liburing loop to which other threads hand tasks through one slot and an eventfd(2), as a
// program without the library would wake its ring. It runs on its own thread on the other
// processor. One other thread may call post(), one task at a time.
#pragma once

#include "bench/support/loopback.h"

#include <atomic>
#include <cstdint>
#include <thread>

namespace uaio::bench {

class EventfdLoop {
public:
    using Task = void (*)(void* argument);

    // Number of NOPs in flight in a busy loop.
    static constexpr unsigned kNops = 32;

    // `busy`: the loop keeps kNops NOPs in flight, submitted again as they complete, and never
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
