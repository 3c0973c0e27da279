// Aios that are destroyed or stopped while their callbacks submit them again.
#include <uaio/engine_group.h>
#include <uaio/task.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <new>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::aio_destruction_test {

using namespace std::chrono_literals;

// A callback that submits its Aio again after every result, up to a time limit.
class Endless {
public:
    explicit Endless(bool (*submit)(Aio&)) : submit_(submit) {}

    void operator()(Aio& self) {
        ++calls_;
        if (self.result()) ++errors_;
        if (Clock::now() < limit_) {
            submit_(self);
        } else {
            outlasted_ = true;
        }
    }

    void wait_for_calls(int calls) const {
        while (calls_ < calls && Clock::now() < limit_)
            std::this_thread::yield();
    }
    int calls() const { return calls_; }
    int errors() const { return errors_; }
    bool outlasted() const { return outlasted_; }

private:
    bool (*const submit_)(Aio&);
    const Clock::time_point limit_ = Clock::now() + kPatience;
    std::atomic<int> calls_{0};
    std::atomic<int> errors_{0};
    std::atomic<bool> outlasted_{false};
};

TEST_CASE_TEMPLATE("an Aio that its callback submits again can be destroyed on another thread",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    for (int round = 0; round < 50; ++round) {
        Endless again(&submit_nop);
        {
            Aio chain(io.engine(), [&again](Aio& self) { again(self); });
            submit_nop(chain);
            again.wait_for_calls(round);
        }
        CHECK(again.errors() <= 1);
        REQUIRE(!again.outlasted());
    }
    CHECK(io.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("an Aio that its callback submits again can be stopped and then destroyed",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    for (int round = 0; round < 50; ++round) {
        Endless again(&submit_nop);
        {
            Aio chain(io.engine(), [&again](Aio& self) { again(self); });
            submit_nop(chain);
            again.wait_for_calls(round);
            chain.stop();
        }
        REQUIRE(!again.outlasted());
    }
    CHECK(io.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("an Aio that its callback submits again can be destroyed on the engine's thread",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    for (bool (*const submit)(Aio&) : {&submit_nop, &submit_parked}) {
        Endless again(submit);
        {
            Aio chain(engine, [&again](Aio& self) { again(self); });
            submit(chain);
            engine.run_once(0ns);
        }
        CHECK(again.errors() <= 1);  // a NOP may have completed
        CHECK(!again.outlasted());
        CHECK(engine.statistics().in_flight == 0);
    }
}

TEST_CASE_TEMPLATE("a read that its callback submits again can be destroyed while data flows",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    tcp::Listener listener(io.engine(), Endpoint::loopback(0));
    StreamPtr stream;
    Aio accept(io.engine());
    listener.accept(accept, stream);
    const RawPeer peer = RawPeer::connect_tcp(listener.local_endpoint());
    REQUIRE(!accept.wait());
    std::atomic<bool> enough{false};
    std::thread sender([&] {
        const std::string bytes(4096, 'x');
        while (!enough)
            static_cast<void>(::send(peer.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT));
    });
    const Clock::time_point limit = Clock::now() + kPatience;
    for (int round = 0; round < 50; ++round) {
        char in[1000];
        std::atomic<int> calls{0};
        std::atomic<int> closed{0};
        {
            Aio read(io.engine(), [&](Aio& self) {
                ++calls;
                if (self.result() == Errc::closed) ++closed;
                if (Clock::now() < limit) stream->read(self);
            });
            read.set_iov(in, sizeof in);
            stream->read(read);
            while (calls < round && Clock::now() < limit)
                std::this_thread::yield();
        }
        CHECK(closed <= 1);
        REQUIRE(Clock::now() < limit);
    }
    enough = true;
    sender.join();
}

// stop() and the operation race within nanoseconds.
TEST_CASE_TEMPLATE("a stop on another thread ends an operation that begins at the same time",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    for (int round = 0; round < (kSanitized ? 200 : 2000); ++round) {
        std::atomic<bool> going{false};
        Aio chain(io.engine(), [&going](Aio& self) {
            going.store(true, std::memory_order_relaxed);
            if (!self.result()) submit_parked(self);
        });
        submit_nop(chain);
        while (!going.load(std::memory_order_relaxed)) {
        }
        chain.stop();
        REQUIRE(chain.wait_until(Clock::now() + kPatience));
        CHECK(chain.result() == Errc::canceled);
    }
}

TEST_CASE("sync_wait throws at once if the allocation of its task fails") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(KernelKind::io_uring));
    engine.run_once(0ns);
    const auto nothing = []() -> Task<> { co_return; };
    int refused = 0;
    for (std::uint64_t others = 0; others < 8; ++others) {
        Task<> task = nothing();
        fail_allocation_behind(others);
        bool threw = false;
        try {
            sync_wait(engine, std::move(task));
        } catch (const std::bad_alloc&) {
            threw = true;
        }
        CHECK(stop_failing() == threw);
        refused += threw;
    }
    CHECK(refused > 0);
    CHECK(engine.statistics().in_flight == 0);
}

}  // namespace uaio::aio_destruction_test
