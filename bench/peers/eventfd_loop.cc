#include "bench/peers/eventfd_loop.h"

#include "bench/peers/raw_ring.h"
#include "bench/support/contest.h"
#include "bench/support/processor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <exception>

namespace uaio::bench {
namespace {

enum Tag : std::uint64_t { event_ready = 1, nop_done = 2 };

void write_event(int fd) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace

EventfdLoop::EventfdLoop(bool busy) : busy_(busy), event_(::eventfd(0, EFD_CLOEXEC)) {
    thread_ = std::thread([this] { run(); });
    state_.wait(State::starting);
    if (state_ == State::failed) {
        thread_.join();
        throw Unavailable("io_uring with deferred completion work");
    }
}

EventfdLoop::~EventfdLoop() {
    state_ = State::stopping;
    write_event(event_.get());
    thread_.join();
}

void EventfdLoop::post(Task task, void* argument) {
    argument_ = argument;
    task_.store(task, std::memory_order_release);
    write_event(event_.get());
}

void EventfdLoop::run() noexcept {
    pin_to_processor(Place::other);
    try {
        loop();
    } catch (const std::exception&) {
        state_ = State::failed;
        state_.notify_one();
    }
}

void EventfdLoop::loop() {
    RawRing ring;
    const auto read_event = [&] {
        io_uring_sqe* const sqe = ring.next();
        io_uring_prep_read(sqe, event_.get(), &event_value_, sizeof event_value_, 0);
        sqe->user_data = event_ready;
    };
    const auto nop = [&] {
        io_uring_sqe* const sqe = ring.next();
        io_uring_prep_nop(sqe);
        sqe->user_data = nop_done;
    };
    read_event();
    for (unsigned i = 0; i < (busy_ ? kNops : 0); ++i)
        nop();
    state_ = State::running;
    state_.notify_one();
    while (state_.load(std::memory_order_relaxed) != State::stopping) {
        ring.turn([&](const io_uring_cqe& cqe) {
            if (cqe.user_data == nop_done) {
                nop();
                return true;
            }
            read_event();
            const Task task = task_.exchange(nullptr, std::memory_order_acquire);
            if (task) task(argument_);
            return true;
        });
    }
}

}  // namespace uaio::bench
