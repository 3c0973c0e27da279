#include <uaio/engine.h>

#include "engine/core.h"
#include "engine/kernel/sim/sim_kernel.h"
#include "engine/kernel_selection.h"
#include "engine/live_engines.h"

namespace uaio {

Engine::Engine(const EngineOptions& options) {
    std::unique_ptr<Kernel> kernel = select_kernel(options);
    Kernel& made = *kernel;
    core_ = std::make_unique<EngineCore>(*this, std::move(kernel), made, options);
}

Engine::Engine(SimKernel& kernel, const EngineOptions& options)
    : core_(std::make_unique<EngineCore>(*this, nullptr, kernel_of(kernel), options)) {}

// In a child of fork(2) the memory stays: destroying it would unmap addresses that may be other
// memory by now, and wait for threads that the child does not have.
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
int Engine::fd() const { return core_->poll_fd(); }
Clock::time_point Engine::now() const noexcept { return core_->kernel().now(); }
KernelKind Engine::kernel() const noexcept { return core_->kernel().kind(); }
std::string_view Engine::kernel_reason() const noexcept { return core_->kernel().reason(); }
Buffers& Engine::buffers() noexcept { return core_->locked().buffers; }

EngineStatistics Engine::statistics() const noexcept { return core_->counters().snapshot(); }
bool Engine::on_engine_thread() const noexcept { return core_->on_thread(); }

void Engine::post_task(std::unique_ptr<Task> task) noexcept {
    if (core_->is_over()) {
        return core_->log(
            LogLevel::error,
            core_->is_forked()
                ? "a child of fork(2) posted a task to an engine of the parent; it was dropped"
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

}  // namespace uaio
