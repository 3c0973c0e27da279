// Operations and streams of a user's own, with <uaio/provider.h> alone.
#include <uaio/argument_error.h>
#include <uaio/provider.h>
#include <uaio/sim.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::provider_test {

using namespace std::chrono_literals;

// A provider that hands out numbers: each user waits for its turn.
class Turnstile {
public:
    explicit Turnstile(Engine& engine) : engine_(engine) {}

    bool wait(Aio& aio, int* out) { return Provider::submit(engine_, aio, &start, this, out); }
    // Engine's thread.
    void pass() {
        ++passes_;
        if (Aio* const aio = queue_.pop()) finish(*aio);
    }
    bool empty() const { return queue_.empty(); }
    int cancels = 0;

private:
    static Turnstile& of(const Aio& aio) { return *static_cast<Turnstile*>(Provider::owner(aio)); }
    static void start(Aio& aio) noexcept {
        if (Provider::stopped(aio)) return Provider::finish(aio, Errc::canceled);
        if (Provider::expired(aio)) return Provider::finish(aio, Errc::timed_out);
        void* const out = Provider::argument(aio);
        std::memcpy(Provider::scratch(aio).data(), &out, sizeof out);
        of(aio).queue_.push(aio);
        Provider::park(aio, &cancel);
    }
    static void cancel(Aio& aio) noexcept {
        ++of(aio).cancels;
        of(aio).queue_.remove(aio);
        Provider::finish(aio, Provider::cancel_reason(aio));
    }
    void finish(Aio& aio) {
        int* out = nullptr;
        std::memcpy(&out, Provider::scratch(aio).data(), sizeof out);
        *out = passes_;
        Provider::finish(aio);
    }

    Engine& engine_;
    AioQueue queue_;
    int passes_ = 0;
};

TEST_CASE_TEMPLATE("a provider parks an Aio and finishes it later", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Turnstile turnstile(engine);
    int first = 0;
    int second = 0;
    Operation a(engine);
    Operation b(engine);
    REQUIRE(turnstile.wait(a.aio, &first));
    REQUIRE(turnstile.wait(b.aio, &second));
    engine.run_once(0ns);
    CHECK(a.ended() == kPending);
    turnstile.pass();
    CHECK(a.ended() == kPending);  // never inside the call
    engine.run_once(0ns);
    CHECK(a.ended() == success(0));
    CHECK(b.ended() == kPending);
    turnstile.pass();
    engine.run_once(0ns);
    CHECK(b.ended() == success(0));
    CHECK(first == 1);
    CHECK(second == 2);
    CHECK(turnstile.cancels == 0);
}

TEST_CASE_TEMPLATE("a negative deadline of a provider has passed", Kernel, OnLinux, OnPoll) {
    constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    for (const std::int64_t deadline : {kLeast, std::int64_t{-5}, std::int64_t{0}}) {
        for (const auto limit : {&Provider::limit_deadline, &Provider::replace_deadline}) {
            Engine engine(options_on(Kernel::kKind));
            Turnstile turnstile(engine);
            int number = 0;
            Operation waits(engine);
            REQUIRE(turnstile.wait(waits.aio, &number));
            engine.run_once(0ns);
            limit(waits.aio, deadline);
            CHECK(waits.aio.wait() == Errc::timed_out);
            CHECK(turnstile.empty());
        }
    }
}

TEST_CASE_TEMPLATE("a parked Aio is cancelled, aborted, stopped or timed out by its canceler once",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);  // Provider::cancel() requires the engine's thread
    Turnstile turnstile(engine);
    int out = 0;
    Operation canceled(engine), aborted(engine), stopped(engine), expired(engine), closed(engine);
    for (Operation* operation : {&canceled, &aborted, &stopped, &expired, &closed}) {
        REQUIRE(turnstile.wait(operation->aio, &out));
    }
    Provider::limit_deadline(expired.aio, 0);
    canceled.aio.cancel();
    canceled.aio.cancel();
    aborted.aio.abort(Errc::proxy_refused);
    stopped.aio.stop();
    Provider::cancel(closed.aio, Errc::closed);
    CHECK(canceled.ended() == kPending);
    CHECK(expired.aio.wait() == Errc::timed_out);
    engine.run_once(0ns);
    CHECK(canceled.ended() == failure(Errc::canceled));
    CHECK(aborted.ended() == failure(Errc::proxy_refused));
    CHECK(stopped.ended() == failure(Errc::canceled));
    CHECK(expired.ended() == failure(Errc::timed_out));
    CHECK(closed.ended() == failure(Errc::closed));
    CHECK(turnstile.cancels == 5);
    CHECK(turnstile.empty());
    CHECK(engine.statistics().cancels == 5);
    CHECK(engine.statistics().timeouts == 1);
}

TEST_CASE("a canceler may destroy an idle Aio, also for a cancel of another thread") {
    const ChildEnd end = run_in_child([]() -> std::string {
        Engine engine(options_on(KernelKind::epoll));
        engine.run_once(0ns);
        Operation parked(engine);
        auto* const idle = new Aio(engine);
        const auto start = [](Aio& aio) noexcept {
            Provider::park(aio, [](Aio& canceled) noexcept {
                delete static_cast<Aio*>(Provider::owner(canceled));
                Provider::finish(canceled, Provider::cancel_reason(canceled));
            });
        };
        if (!Provider::submit(engine, parked.aio, start, idle)) return "the Aio was refused";
        std::thread([&] {
            parked.aio.cancel();
            idle->stop();  // a request that finds no Aio any more
        }).join();
        if (parked.aio.wait() != Errc::canceled) return "the operation was not cancelled";
        return parked.ended() == failure(Errc::canceled) ? "" : "there was not one callback";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE_TEMPLATE("a starter refuses a stopped or expired Aio", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Turnstile turnstile(engine);
    int out = 0;
    Operation stopped(engine), expired(engine);
    stopped.aio.stop();
    expired.aio.set_timeout(0ns);
    CHECK(turnstile.wait(stopped.aio, &out));
    CHECK(turnstile.wait(expired.aio, &out));
    engine.run_once(0ns);
    CHECK(stopped.ended() == failure(Errc::canceled));
    CHECK(expired.ended() == failure(Errc::timed_out));
    CHECK(turnstile.cancels == 0);
}

TEST_CASE_TEMPLATE("a cancelled Aio is cancelled after a starter that does not check it", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Operation stopped(engine), expired(engine);
    stopped.aio.stop();
    expired.aio.set_timeout(0ns);
    REQUIRE(submit_parked(stopped.aio));
    REQUIRE(submit_parked(expired.aio));
    CHECK(stopped.aio.wait() == Errc::canceled);
    CHECK(expired.aio.wait() == Errc::timed_out);
    CHECK(stopped.ended() == failure(Errc::canceled));
    CHECK(expired.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("an Aio of another engine ends on its engine, and the starter does not run",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Engine other(options_on(Kernel::kKind));
    Turnstile turnstile(engine);
    int out = 0;
    Operation foreign(other);
    CHECK(turnstile.wait(foreign.aio, &out));
    CHECK(foreign.aio.wait() == ArgumentErrc::wrong_engine);
    CHECK(foreign.ended() == failure(ArgumentErrc::wrong_engine));
    CHECK(turnstile.empty());
}

// Counts the int that owns the operation down to 0, with one NOP per step.
struct Countdown {
    static void start(Aio& aio) noexcept { io_uring_prep_nop(&Provider::begin<&handle>(aio)); }
    static Outcome handle(Aio& aio, int result, unsigned) noexcept {
        int& left = *static_cast<int*>(Provider::owner(aio));
        if (result < 0 || --left == 0) return Outcome::finished;
        start(aio);
        return Outcome::pending;
    }
};

TEST_CASE_TEMPLATE("a handler continues the same Aio until it returns finished", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    int left = 1000;
    Operation chain(engine);
    REQUIRE(Provider::submit(engine, chain.aio, &Countdown::start, &left));
    REQUIRE(!chain.aio.wait());
    CHECK(left == 0);
    CHECK(chain.ended() == success(0));
    CHECK(engine.statistics().submissions >= 1000);
}

// Reads an eventfd through the ring: an operation that waits in the kernel.
struct Reading {
    Reading() : fd(::eventfd(0, EFD_CLOEXEC)) {}
    ~Reading() { ::close(fd); }

    bool submit(Aio& aio) { return Provider::submit(aio.engine(), aio, &start, this); }
    static void start(Aio& aio) noexcept {
        Reading& self = *static_cast<Reading*>(Provider::owner(aio));
        io_uring_sqe& sqe = Provider::begin<&on_read>(aio);
        io_uring_prep_read(&sqe, self.fd, &self.value, sizeof self.value, 0);
    }
    static Outcome on_read(Aio& aio, int result, unsigned) noexcept {
        if (result > 0) Provider::advance(aio, static_cast<std::size_t>(result));
        if (result < 0) {
            const std::error_code reason = Provider::cancel_reason(aio);
            Provider::set_error(aio, reason ? reason : error_from_result(result));
        }
        return Outcome::finished;
    }

    int fd;
    std::uint64_t value = 0;
};

TEST_CASE_TEMPLATE("an operation in the kernel is cancelled there", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Reading reading;
    Operation operation(engine, std::string_view(reinterpret_cast<char*>(&reading.value), 8));
    for (const bool taken : {true, false}) {
        operation.forget();
        REQUIRE(reading.submit(operation.aio));
        if (taken) engine.run_once(0ns);
        operation.aio.abort(Errc::truncated);
        CHECK(operation.aio.wait() == Errc::truncated);
        CHECK(operation.ended() == failure(Errc::truncated));
    }
    operation.forget();
    REQUIRE(reading.submit(operation.aio));
    engine.run_once(0ns);
    const std::uint64_t one = 1;
    REQUIRE(::write(reading.fd, &one, sizeof one) == 8);
    CHECK(!operation.aio.wait());
    CHECK(operation.ended() == success(8));
}

TEST_CASE_TEMPLATE("an operation in the kernel expires", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Reading reading;
    Operation operation(engine);
    operation.aio.set_timeout(3ms);
    const Clock::time_point begin = Clock::now();
    REQUIRE(reading.submit(operation.aio));
    CHECK(operation.aio.wait() == Errc::timed_out);
    CHECK(Clock::now() - begin >= 3ms);
}

TEST_CASE_TEMPLATE("the argument and the owner reach the starter from any thread", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    int owner = 0;
    int argument = 0;
    struct Seen {
        static void start(Aio& aio) noexcept {
            *static_cast<int*>(Provider::owner(aio)) += 1;
            *static_cast<int*>(Provider::argument(aio)) += 10;
            Provider::finish(aio);
        }
    };
    Operation operation(engine);
    const auto submit = [&] {
        Provider::submit(engine, operation.aio, &Seen::start, &owner, &argument);
    };
    submit();
    CHECK(!operation.aio.wait());
    std::thread(submit).join();
    CHECK(!operation.aio.wait());
    CHECK(owner == 2);
    CHECK(argument == 20);
}

TEST_CASE("a queue of Aios keeps their order and removes any of them") {
    Engine engine(options_on(KernelKind::epoll));
    std::vector<std::unique_ptr<Aio>> aios;
    for (int i = 0; i < 5; ++i)
        aios.push_back(std::make_unique<Aio>(engine));
    AioQueue queue;
    CHECK(queue.empty());
    CHECK(queue.pop() == nullptr);
    for (const auto& aio : aios)
        queue.push(*aio);
    CHECK(queue.front() == aios[0].get());
    CHECK(AioQueue::next(*aios[0]) == aios[1].get());
    CHECK(AioQueue::next(*aios[4]) == nullptr);
    queue.remove(*aios[2]);
    queue.remove(*aios[4]);
    queue.remove(*aios[0]);
    CHECK(queue.front() == aios[1].get());
    queue.push(*aios[0]);
    CHECK(queue.pop() == aios[1].get());
    CHECK(queue.pop() == aios[3].get());
    CHECK(queue.pop() == aios[0].get());
    CHECK(queue.pop() == nullptr);
    CHECK(queue.empty());
}

TEST_CASE("submitting a busy Aio to a provider returns false or stops a debug build (W-48)") {
    const ChildEnd end = run_in_child([]() -> std::string {
        Engine engine(options_on(KernelKind::epoll));
        Turnstile turnstile(engine);
        int first = 0;
        int second = 0;
        Operation busy(engine);
        engine.run_once(0ns);  // from here on this is the engine's thread
        if (!turnstile.wait(busy.aio, &first)) return "the first operation was refused";
        if (turnstile.wait(busy.aio, &second)) return "the second operation was accepted";
        turnstile.pass();
        engine.run_once(0ns);
        if (busy.ended() != success(0)) return "the first operation was affected";
        return first == 1 && second == 0 ? "" : "the second operation ran";
    });
    INFO(end.output);
    if (kMisuseStops) {
        CHECK(end.signal == SIGABRT);
    } else {
        CHECK(end.succeeded());
    }
}

// Holds an Aio, counts a byte of its own, and forwards it to a stream on open().
class Gate {
public:
    Gate(Engine& engine, Stream& below) : engine_(engine), below_(below) {}

    void write_all(Aio& aio) { Provider::submit(engine_, aio, &start, this); }
    // Returns how many it forwarded.
    std::size_t open() {
        std::size_t passed = 0;
        for (; Aio* const aio = queue_.pop(); ++passed) {
            Provider::advance(*aio, 1);
            Provider::forward(*aio, [&] { below_.write_all(*aio); });
        }
        return passed;
    }

private:
    static void start(Aio& aio) noexcept {
        static_cast<Gate*>(Provider::owner(aio))->queue_.push(aio);
        Provider::park(aio, [](Aio& asked) noexcept {
            static_cast<Gate*>(Provider::owner(asked))->queue_.remove(asked);
            Provider::finish(asked, Provider::cancel_reason(asked));
        });
    }

    Engine& engine_;
    Stream& below_;
    AioQueue queue_;
};

TEST_CASE_TEMPLATE("a forwarded Aio keeps its count, cursor, deadline and cancel", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Gate gate(fixture.engine(), fixture.connection().stream());
    Operation held(fixture.engine(), "xheld");
    Operation passed(fixture.engine(), "xpassed");
    gate.write_all(held.aio);
    held.aio.cancel();
    REQUIRE(fixture.run_until_done(held));
    CHECK(held.ended() == failure(Errc::canceled));
    gate.write_all(passed.aio);
    CHECK(gate.open() == 1);
    CHECK(fixture.receive(6) == "passed");
    REQUIRE(fixture.run_until_done(passed));
    CHECK(passed.ended() == success(7));

    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation late(fixture.engine(), payload);
    late.aio.set_timeout(30ms);
    const Clock::time_point begin = fixture.engine().now();
    gate.write_all(late.aio);
    fixture.run_some();
    const std::size_t passed_on = gate.open();
    REQUIRE(fixture.run_until_done(late));
    CHECK(fixture.engine().now() - begin >= 30ms);
    // On a busy machine it may end while held: then it sends and counts nothing.
    fixture.connection().stream().close();
    const std::size_t sent = fixture.receive_to_end().size() - 6;
    if (passed_on == 0) CHECK(sent == 0);
    CHECK(late.ended() == failure(Errc::timed_out, sent + passed_on));
}

TEST_CASE("a deadline behind a cancel that its canceler answered submits nothing") {
    SimKernel kernel(1);
    Engine engine(kernel);
    unsigned asked = 0;
    const auto start = [](Aio& aio) noexcept {
        Provider::park(aio, [](Aio& parked) noexcept {
            ++*static_cast<unsigned*>(Provider::owner(parked));  // leaves it to end
        });
    };
    Aio nop(engine);
    REQUIRE(submit_nop(nop));  // the ring has taken an entry
    REQUIRE(!nop.wait());
    Operation parked(engine);
    parked.aio.set_timeout(std::chrono::seconds(5));
    REQUIRE(Provider::submit(engine, parked.aio, start, &asked));
    engine.run_once(std::chrono::nanoseconds::zero());
    parked.aio.cancel();
    engine.run_once(std::chrono::nanoseconds::zero());
    const std::uint64_t submissions = engine.statistics().submissions;
    for (const auto end = engine.now() + std::chrono::seconds(6); engine.now() < end;)
        engine.run_once(end - engine.now());
    CHECK(asked == 1);
    CHECK(engine.statistics().submissions == submissions);
    Provider::finish(parked.aio, Provider::cancel_reason(parked.aio));
    engine.run_once(std::chrono::nanoseconds::zero());
    CHECK(parked.ended() == failure(Errc::canceled));
}

}  // namespace uaio::provider_test
