// An engine without aio/ and transport/: this program links base/ and engine/ alone, and would not
// link if either needed more. It drives mail, timers, completions and waits with its own
// operations.
#include <uaio/engine.h>

#include "engine/core.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <liburing.h>

namespace uaio {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr KernelKind kKernels[] = {KernelKind::io_uring, KernelKind::epoll};

EngineOptions options_on(KernelKind kind) {
    EngineOptions options;
    options.kernel = kind;
    return options;
}

// An operation that is no Aio: counts the arguments of its handler and its finisher.
struct Operation : Completion {
    explicit Operation(EngineCore& core) : engine(core) {
        handler = [](Completion& completion, int result, unsigned) noexcept {
            Operation& self = static_cast<Operation&>(completion);
            self.results.push_back(result);
            if (self.left == 0) return Outcome::finished;
            --self.left;
            self.begin_nop();
            return Outcome::pending;
        };
        finish = [](Completion& completion) noexcept {
            Operation& self = static_cast<Operation&>(completion);
            ++self.finished;
            self.was_finishing = self.engine.loop().is_finishing(self);
        };
    }

    void begin_nop() { io_uring_prep_nop(&engine.loop().ring().begin(*this)); }
    void begin_read(int fd) {
        io_uring_prep_read(&engine.loop().ring().begin(*this), fd, &value, sizeof value, 0);
    }

    EngineCore& engine;
    std::vector<int> results;
    unsigned left = 0;  // completions before the last
    unsigned finished = 0;
    bool was_finishing = false;
    std::uint64_t value = 0;
};

struct Timer : TimerNode {
    Timer() {
        expire = [](TimerNode& node, std::error_code why) noexcept {
            static_cast<Timer&>(node).reasons.push_back(why);
        };
    }
    std::vector<std::error_code> reasons;
};

struct TestEntry : MailboxEntry {
    TestEntry(std::string& where, char what) : text(where), character(what) {
        deliver = [](MailboxEntry& entry) noexcept {
            TestEntry& self = static_cast<TestEntry&>(entry);
            self.text += self.character;
        };
    }
    std::string& text;
    char character;
};

struct EventFd {
    EventFd() : fd(::eventfd(0, EFD_CLOEXEC)) {}
    ~EventFd() { ::close(fd); }
    EventFd(const EventFd&) = delete;
    EventFd& operator=(const EventFd&) = delete;
    int fd;
};

template <class Done>
void run_until(Engine& engine, Done done) {
    for (int turn = 0; turn < 1000 && !done(); ++turn)
        engine.run_once(seconds(10));
    REQUIRE(done());
}

}  // namespace

TEST_CASE("mailbox entries are delivered in the order of posting") {
    for (const KernelKind kind : kKernels) {
        Engine engine(options_on(kind));
        std::string text;
        TestEntry first(text, 'a');
        TestEntry second(text, 'b');
        std::thread([&] {
            EngineCore::of(engine).post(first);
            EngineCore::of(engine).post(second);
        }).join();
        CHECK(text.empty());
        engine.run_once(nanoseconds::zero());
        CHECK(text == "ab");
    }
}

TEST_CASE("a timer expires with timed_out at its deadline, and with closed at the engine's end") {
    for (const KernelKind kind : kKernels) {
        Timer soon;
        Timer never;
        {
            Engine engine(options_on(kind));
            Loop& loop = EngineCore::of(engine).loop();
            soon.deadline_ns = loop.now_ns() + 1'000'000;
            loop.timers().arm(soon, loop.now_ns());
            loop.timers().hold(never);
            run_until(engine, [&] { return !soon.reasons.empty(); });
            CHECK(loop.now_ns() >= soon.deadline_ns);
            CHECK(soon.reasons == std::vector<std::error_code>{Errc::timed_out});
            CHECK(never.reasons.empty());
        }
        CHECK(soon.reasons.size() == 1);
        CHECK(never.reasons == std::vector<std::error_code>{Errc::closed});
    }
}

TEST_CASE("a completion goes to the handler, and after the last one to the finisher") {
    for (const KernelKind kind : kKernels) {
        Engine engine(options_on(kind));
        EngineCore& core = EngineCore::of(engine);
        Operation operation(core);
        operation.left = 2;
        core.loop().count_operation();
        operation.begin_nop();
        run_until(engine, [&] { return operation.finished > 0; });
        CHECK(operation.results == std::vector<int>{0, 0, 0});
        CHECK(operation.finished == 1);
        CHECK(operation.was_finishing);
        CHECK(engine.statistics().operations == 1);
        CHECK(engine.statistics().in_flight == 0);
    }
}

TEST_CASE("a deferred operation is finished in the same turn, without a completion") {
    Engine engine(options_on(KernelKind::epoll));
    EngineCore& core = EngineCore::of(engine);
    Operation operation(core);
    core.loop().count_operation();
    core.loop().defer(operation);
    CHECK(operation.finished == 0);
    CHECK(engine.run_once(nanoseconds::zero()) == 1);
    CHECK(operation.finished == 1);
    CHECK(operation.results.empty());
}

TEST_CASE(
    "a cancel withdraws entries that the kernel has not taken, and cancels the others in the "
    "kernel") {
    for (const KernelKind kind : kKernels) {
        for (const bool taken : {false, true}) {
            CAPTURE(taken);
            Engine engine(options_on(kind));
            EngineCore& core = EngineCore::of(engine);
            engine.run_once(nanoseconds::zero());
            const EventFd event;
            Operation read(core);
            core.loop().count_operation();
            read.begin_read(event.fd);
            if (taken) engine.run_once(nanoseconds::zero());
            core.loop().ring().cancel(read);
            run_until(engine, [&] { return read.finished > 0; });
            CHECK(read.results == std::vector<int>{-ECANCELED});
        }
    }
}

// The position of an entry is a number of 32 bits, which moves on while an operation waits.
TEST_CASE("a cancel reaches an operation however many entries the ring took after its own") {
    for (const KernelKind kind : kKernels) {
        for (const bool meets_another : {false, true}) {
            CAPTURE(meets_another);
            Engine engine(options_on(kind));
            EngineCore& core = EngineCore::of(engine);
            const EventFd event;
            Operation read(core);
            Operation other(core);
            core.loop().count_operation();
            read.begin_read(event.fd);
            engine.run_once(nanoseconds::zero());
            core.loop().count_operation();
            other.begin_nop();
            read.sq_position = meets_another ? other.sq_position : read.sq_position + (1U << 31);
            core.loop().ring().cancel(read);
            run_until(engine, [&] { return read.finished > 0 && other.finished > 0; });
            CHECK(read.results == std::vector<int>{-ECANCELED});
            CHECK(other.results == std::vector<int>{0});
        }
    }
}

TEST_CASE("a late request applies to its operation, not to a later one at the same address") {
    for (const KernelKind kind : kKernels) {
        Engine engine(options_on(kind));
        EngineCore& core = EngineCore::of(engine);
        const EventFd event;
        Operation read(core);
        core.loop().count_operation();
        read.begin_read(event.fd);
        const LateRequest late{.operation = &read,
                               .generation = read.generation,
                               .reason = Errc::canceled,
                               .deliver = [](Completion& completion, std::error_code) noexcept {
                                   Operation& self = static_cast<Operation&>(completion);
                                   self.engine.loop().ring().cancel(self);
                                   return true;
                               }};
        LateRequest of_another = late;
        ++of_another.generation;
        std::thread([&] { core.request(of_another); }).join();
        engine.run_once(nanoseconds::zero());
        CHECK(read.results.empty());
        std::thread([&] { core.request(late); }).join();
        run_until(engine, [&] { return read.finished > 0; });
        CHECK(read.results == std::vector<int>{-ECANCELED});
        CHECK(core.loop().late_requests().empty());
    }
}

TEST_CASE("a thread waits until its condition holds or no thread runs the engine") {
    Engine engine(options_on(KernelKind::epoll));
    EngineCore& core = EngineCore::of(engine);
    engine.run_once(nanoseconds::zero());
    std::atomic<bool> done{false};
    const Condition condition{&done, [](const void* subject) noexcept {
                                  return static_cast<const std::atomic<bool>*>(subject)->load();
                              }};
    std::error_code result = Errc::closed;
    std::thread waiting([&] { result = core.wait(condition); });
    std::string text;
    TestEntry character(text, 'x');
    core.post(character);
    engine.run_once(nanoseconds::zero());
    done = true;
    core.loop().waiters().notify_locked();
    waiting.join();
    CHECK(!result);
    CHECK(core.wait_until(condition, Clock::now()));
    done = false;
    CHECK(!core.wait_until(condition, engine.now()));
}

}  // namespace uaio
