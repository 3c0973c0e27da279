#include <uaio/argument_error.h>
#include <uaio/engine.h>

#include "engine/core.h"
#include "engine/kernel/linux/linux_kernel.h"
#include "engine/kernel/poll/poll_kernel.h"
#include "engine/kernel/sim/sim_kernel.h"
#include "engine/live_engines.h"
#include "engine/thread.h"

#include <sched.h>

#include <cstdlib>
#include <future>
#include <new>
#include <string>

namespace uaio {
namespace {

KernelKind wanted_kernel(KernelKind asked) {
    const char* variable = std::getenv("UAIO_KERNEL");
    if (asked != KernelKind::automatic || !variable || *variable == '\0') return asked;
    const std::string_view name = variable;
    if (name == "linux") return KernelKind::linux;
    if (name == "poll") return KernelKind::poll;
    throw std::system_error(
        make_error_code(ArgumentErrc::invalid_option),
        "uaio: UAIO_KERNEL is '" + std::string(name) + "'; it may be linux or poll");
}

std::unique_ptr<Kernel> make_kernel(const EngineOptions& options) {
    switch (wanted_kernel(options.kernel)) {
        case KernelKind::linux: return std::make_unique<LinuxKernel>(options);
        case KernelKind::poll: return std::make_unique<PollKernel>(options, "it was asked for");
        case KernelKind::automatic: break;
    }
    try {
        return std::make_unique<LinuxKernel>(options);
    } catch (const std::system_error& refused) {
        return std::make_unique<PollKernel>(options, refused.what());
    }
}

}  // namespace

Engine::Engine(const EngineOptions& options) {
    std::unique_ptr<Kernel> kernel = make_kernel(options);
    Kernel& made = *kernel;
    core_ = std::make_unique<EngineCore>(*this, std::move(kernel), made, options);
}

Engine::Engine(SimKernel& kernel, const EngineOptions& options)
    : core_(std::make_unique<EngineCore>(*this, nullptr, kernel_of(kernel), options)) {}

// In a child of fork(2) the memory stays: destroying it would unmap what may be other memory by
// now, and wait for threads that the child does not have.
Engine::~Engine() {
    if (!core_->is_forked()) return;
    core_->close_inherited();
    static_cast<void>(core_.release());
}

void Engine::notify_fork_child() noexcept { close_inherited_engines(); }

void Engine::run() { core_->run(); }
std::size_t Engine::run_once(std::chrono::nanoseconds max_wait) {
    return core_->run_once(max_wait);
}
void Engine::stop() noexcept { core_->stop(); }
int Engine::fd() const { return core_->loop_fd(); }
Clock::time_point Engine::now() const noexcept { return core_->kernel().now(); }
KernelKind Engine::kernel() const noexcept { return core_->kernel().kind(); }
std::string_view Engine::kernel_reason() const noexcept { return core_->kernel().reason(); }
EngineStatistics Engine::statistics() const noexcept { return core_->statistics(); }
bool Engine::on_engine_thread() const noexcept { return core_->on_thread(); }

void Engine::post_task(std::unique_ptr<Task> task) noexcept {
    if (core_->is_over()) {
        return core_->log(LogLevel::error,
                          core_->is_forked()
                              ? "a task was posted in a child of fork(2) to an engine of the "
                                "parent; it was dropped"
                              : "a task was posted to an engine whose thread has ended; it was "
                                "dropped");
    }
    Task& posted = *task.release();
    posted.deliver = [](MailboxEntry& entry) noexcept {
        const std::unique_ptr<Task> owned(static_cast<Task*>(&entry));
        owned->run();
    };
    core_->post(posted);
}

EngineThread::EngineThread(const EngineOptions& options) {
    std::promise<Engine*> started;
    std::future<Engine*> engine = started.get_future();
    // The engine stays until the destructor has asked for its end, and is out of stop() again.
    thread_ = start_thread([&options, &started, released = released_.get_future()]() mutable {
        std::unique_ptr<Engine> own;
        try {
            own = std::make_unique<Engine>(options);
            own->run_once(std::chrono::nanoseconds::zero());  // binds it to this thread
        } catch (...) {
            started.set_exception(std::current_exception());
            return;
        }
        started.set_value(own.get());
        try {
            own->run();
        } catch (const std::system_error&) {
            // Logged when it happened.
        }
        if (EngineCore::of(*own).is_forked()) {
            // A callback forked, and this is the child: the EngineThread may still be destroyed, by
            // exit(3), which the end of the child's only thread is.
            static_cast<void>(own.release());
            return;
        }
        EngineCore::of(*own).run_stopped();
        released.wait();
    });
    try {
        engine_ = engine.get();
    } catch (...) {
        thread_.join();
        throw;
    }
}

EngineThread::~EngineThread() {
    if (EngineCore::of(*engine_).is_forked()) {
        // The thread is the parent's. The C library may have given what names it here to a new
        // thread, so it is neither joined nor detached.
        EngineCore::of(*engine_).close_inherited();
        ::new (static_cast<void*>(&thread_)) std::thread;
        return;
    }
    const bool in_callback = thread_.get_id() == std::this_thread::get_id();
    EngineCore::of(*engine_).leave();
    released_.set_value();
    if (in_callback) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

EngineGroup::EngineGroup(unsigned engines, const EngineOptions& options) {
    if (engines == 0) {
        cpu_set_t usable;
        engines = sched_getaffinity(0, sizeof usable, &usable) == 0
                      ? static_cast<unsigned>(CPU_COUNT(&usable))
                      : 1;
    }
    threads_.reserve(engines);
    while (threads_.size() < engines)
        threads_.push_back(std::make_unique<EngineThread>(options));
}

}  // namespace uaio
