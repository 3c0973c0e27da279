#include "tests/life/subject.h"
#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/one_shot.h"
#include "tests/support/raw_peer.h"
#include "tests/support/turns.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <semaphore>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::life {
namespace {

using namespace std::chrono_literals;

// Calls `column` with each row's name, and compares the open descriptors before and after.
void for_each(std::span<const Row> rows, const std::function<void(const Row&)>& column) {
    for (const Row& row : rows) {
        CAPTURE(row.name);
        const std::size_t descriptors = open_descriptors();
        column(row);
        CHECK(open_descriptors() == descriptors);
    }
}

// Without an engine on this thread.
void wait_for_peer(Subject& subject) {
    const Clock::time_point limit = Clock::now() + kPatience;
    while (!subject.peer_sees_end())
        REQUIRE(Clock::now() < limit);
}

// An engine that this thread runs, a subject on it, and the operation in flight.
struct Busy {
    Busy(KernelKind kind, const Row& row) : engine(options_on(kind)), subject(row.make(engine)) {
        operation.emplace(engine);
        subject->start(operation->aio);
        run_some(engine);
        REQUIRE(!operation->done());
    }

    bool run_until(const std::function<bool()>& done) { return uaio::run_until(engine, done); }

    Engine engine;
    std::unique_ptr<Subject> subject;
    std::optional<Operation> operation;
};

// A subject whose engine was destroyed while its operation was in flight.
struct Orphan {
    Orphan(KernelKind kind, const Row& row) {
        Engine engine(options_on(kind));
        subject = row.make(engine);
        subject->start(one_shot(engine, ended));
        run_some(engine);
        REQUIRE(ended.calls == 0);
    }

    Ended ended;
    std::unique_ptr<Subject> subject;
};

}  // namespace

void destroy_idle(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        Engine engine(options_on(kind));
        const std::unique_ptr<Subject> subject = row.make(engine);
        subject->destroy();
        CHECK(run_until(engine, [&] { return subject->peer_sees_end(); }));
        CHECK(engine.statistics().misuse == 0);
    });
}

void destroy_busy(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        Busy busy(kind, row);
        busy.subject->destroy();
        CHECK(!busy.operation->done());  // never inside the call
        REQUIRE(busy.run_until([&] { return busy.operation->done(); }));
        CHECK(busy.operation->ended() == failure(busy.subject->end_of_destruction()));
        CHECK(busy.run_until([&] { return busy.subject->peer_sees_end(); }));
        run_some(busy.engine);
        CHECK(busy.operation->ended().calls == 1);
    });
}

void destroy_in_own_callback(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        Engine engine(options_on(kind));
        const std::unique_ptr<Subject> subject = row.make(engine);
        unsigned calls = 0;
        std::error_code result;
        Aio aio(engine, [&](Aio& done) {
            ++calls;
            result = done.result();
            subject->destroy();
        });
        subject->start(aio);
        run_some(engine);
        REQUIRE(calls == 0);
        aio.cancel();
        REQUIRE(run_until(engine, [&] { return calls > 0; }));
        CHECK(run_until(engine, [&] { return subject->peer_sees_end(); }));
        run_some(engine);
        CHECK(calls == 1);
        CHECK(result == Errc::canceled);
    });
}

void destroy_on_another_thread(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        std::unique_ptr<Subject> subject;
        {
            EngineThread io(options_on(kind));
            subject = row.make(io.engine());
            Operation operation(io.engine());
            subject->start(operation.aio);
            subject->destroy();
            CHECK(operation.aio.wait() == subject->end_of_destruction());
            CHECK(operation.ended().calls == 1);
            CHECK(operation.ended().count == 0);
        }
        wait_for_peer(*subject);
    });
}

// The engine's thread is busy when this thread submits the operation, and destroys the object
// before it takes the operation from its mailbox, or after it took it in one batch with the task
// that destroys the object.
void destroy_before_start(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        for (const bool in_batch : {false, true}) {
            CAPTURE(in_batch);
            std::unique_ptr<Subject> subject;
            {
                EngineThread io(options_on(kind));
                subject = row.make(io.engine());
                Operation operation(io.engine());
                std::binary_semaphore began{0};
                std::binary_semaphore submitted{0};
                io.engine().post([&] {
                    began.release();
                    submitted.acquire();
                    if (!in_batch) subject->destroy();
                });
                began.acquire();
                if (in_batch) io.engine().post([&] { subject->destroy(); });
                subject->start(operation.aio);
                submitted.release();
                CHECK(operation.aio.wait() == subject->end_of_late_start());
                CHECK(operation.ended().calls == 1);
                CHECK(operation.ended().count == 0);
                CHECK(io.engine().statistics().misuse == 0);
            }
            wait_for_peer(*subject);
        }
    });
}

// The engine runs for the first time after the object was destroyed, or only ends, unless the row
// needs an engine that runs.
void destroy_before_run(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        for (const bool runs : {true, false}) {
            CAPTURE(runs);
            Ended ended;
            auto engine = std::make_unique<Engine>(options_on(kind));
            const std::unique_ptr<Subject> subject = row.make(*engine);
            subject->start(one_shot(*engine, ended));
            subject->destroy();
            CHECK(ended.calls == 0);
            if (runs) REQUIRE(run_until(*engine, [&] { return ended.calls > 0; }));
            CHECK(engine->statistics().misuse == 0);
            engine.reset();
            CHECK(ended == failure(subject->end_of_destruction()));
            wait_for_peer(*subject);
        }
    });
}

void close_while_resubmitting(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        EngineThread io(options_on(kind));
        const std::unique_ptr<Subject> subject = row.make(io.engine());
        std::atomic<unsigned> calls{0};
        Aio aio(io.engine(), [&](Aio& done) {
            calls.fetch_add(1, std::memory_order_release);
            if (done.result() == Errc::timed_out) subject->start(done);
        });
        aio.set_timeout(0ns);
        subject->start(aio);
        while (calls.load(std::memory_order_acquire) < 10)
            std::this_thread::yield();
        const bool closed = subject->close();
        if (!closed) aio.stop();
        const std::error_code result = aio.wait();
        if (!closed) CHECK((result == Errc::canceled || result == Errc::timed_out));
        if (closed) CHECK((result == Errc::closed || result == Errc::not_connected));
        subject->destroy();
    });
}

void destroy_after_engine(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        const Orphan orphan(kind, row);
        CHECK(orphan.ended.calls == 1);
        CHECK(orphan.ended.error);
        orphan.subject->destroy();
        CHECK(orphan.ended.calls == 1);
    });
}

void use_after_engine(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        const Orphan orphan(kind, row);
        CHECK(orphan.ended.calls == 1);
        Subject& subject = *orphan.subject;
        Engine other(options_on(kind));
        Operation operation(other);
        subject.start(operation.aio);
        CHECK(!operation.done());
        REQUIRE(run_until(other, [&] { return operation.done(); }));
        CHECK(operation.ended() == failure(subject.end_without_engine()));
        operation.forget();
        operation.aio.stop();
        subject.start(operation.aio);
        REQUIRE(run_until(other, [&] { return operation.done(); }));
        CHECK(operation.ended() == failure(Errc::canceled));
        CHECK(other.statistics().misuse == 0);
    });
}

void destroy_at_exit(KernelKind kind, std::span<const Row> rows) {
    for (const Row& row : rows) {
        for (const bool engine_first : {false, true}) {
            CAPTURE(row.name);
            CAPTURE(engine_first);
            const ChildEnd end = run_in_child([&]() -> std::string {
                static std::unique_ptr<EngineThread> io;
                static std::unique_ptr<Subject> subject;
                static Ended ended;
                io = std::make_unique<EngineThread>(options_on(kind));
                subject = row.make(io->engine());
                subject->start(one_shot(io->engine(), ended));
                // Handlers run in the reverse order of their registration.
                if (!engine_first) std::atexit([] { io.reset(); });
                std::atexit([] { subject->destroy(); });
                if (engine_first) std::atexit([] { io.reset(); });
                std::exit(0);
            });
            CHECK(end.signal == 0);
            CHECK(end.exit_status == 0);
            CHECK(end.output == "");
        }
    }
}

void destroy_in_forked_child(KernelKind kind, std::span<const Row> rows) {
    for_each(rows, [&](const Row& row) {
        Busy busy(kind, row);
        const ChildEnd end = run_in_child([&]() -> std::string {
            busy.subject->destroy();
            return "";
        });
        CHECK(end.signal == 0);
        CHECK(end.exit_status == 0);
        // The parent's object still works.
        run_some(busy.engine);
        CHECK(busy.subject->peer_sees_no_end());
        CHECK(!busy.operation->done());
        busy.subject->destroy();
        REQUIRE(busy.run_until([&] { return busy.operation->done(); }));
        CHECK(busy.operation->ended() == failure(busy.subject->end_of_destruction()));
        CHECK(busy.run_until([&] { return busy.subject->peer_sees_end(); }));
    });
}

}  // namespace uaio::life
