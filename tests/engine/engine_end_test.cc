// How an Engine ends while operations, tasks and streams exist.
#include <uaio/engine.h>
#include <uaio/provider.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"
#include "tests/support/one_shot.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <thread>

#include <doctest/doctest.h>
#include <liburing.h>

namespace uaio::engine_end_test {

using namespace std::chrono_literals;

Outcome end_poll(Aio& aio, int result, unsigned) noexcept {
    if (result == -ECANCELED) Provider::set_error(aio, Errc::closed);
    return Outcome::finished;
}

// In the kernel until a cancel.
void submit_poll(Aio& aio, int fd) {
    const auto start = [](Aio& started) noexcept {
        const auto argument = reinterpret_cast<std::intptr_t>(Provider::argument(started));
        io_uring_prep_poll_add(&Provider::begin<&end_poll>(started), static_cast<int>(argument),
                               POLLIN);
    };
    Provider::submit(aio.engine(), aio, start, nullptr,
                     reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
}

// An engine with a connection to a peer that reads nothing.
struct Ending {
    explicit Ending(KernelKind kind) : engine(std::make_unique<Engine>(patient_options(kind))) {
        tcp::ListenOptions options;
        options.stream.send_buffer = 20'000;
        listener = std::make_unique<tcp::Listener>(*engine, Endpoint::loopback(0), options);
        Aio accept(*engine);
        listener->accept(accept, stream);
        peer = std::make_unique<RawPeer>(RawPeer::connect_tcp(listener->local_endpoint(), 10'000));
        REQUIRE(!accept.wait());
    }

    // A drain timeout beyond the test's own, so that a test detects an engine that waits for it.
    static EngineOptions patient_options(KernelKind kind) {
        EngineOptions options = options_on(kind);
        options.drain_timeout = kPatience;
        return options;
    }

    Aio& one_shot(Ended& ended, std::string_view bytes = {}) {
        Aio& aio = uaio::one_shot(*engine, ended);
        if (!bytes.empty()) aio.set_iov(bytes.data(), bytes.size());
        return aio;
    }

    std::unique_ptr<Engine> engine;
    std::unique_ptr<tcp::Listener> listener;
    std::unique_ptr<RawPeer> peer;
    StreamPtr stream;
    StreamPtr never;
};

void leave_until_fifth_call(Aio& aio) noexcept {
    if (++*static_cast<int*>(Provider::owner(aio)) == 5)
        return Provider::finish(aio, Provider::cancel_reason(aio));
    Provider::park(aio, &leave_until_fifth_call);
}

void park_until_fifth_call(Aio& aio) noexcept { Provider::park(aio, &leave_until_fifth_call); }

TEST_CASE_TEMPLATE("the destructor of an engine ends every operation by one callback", Kernel,
                   OnLinux, OnPoll) {
    Ending ending(Kernel::kKind);
    const RawListener full(0);
    const RawPeer in_queue = RawPeer::connect_tcp(full.endpoint());
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    std::string in(10, '\0');
    Ended write, queued, read, queued_read, accept, connect, fresh, posted;
    ending.stream->write_all(ending.one_shot(write, payload));
    ending.stream->write_all(ending.one_shot(queued, "queued"));
    ending.stream->read_all(ending.one_shot(read, in));
    ending.stream->read_all(ending.one_shot(queued_read, in));
    ending.listener->accept(ending.one_shot(accept), ending.never);
    tcp::connect(full.endpoint(), {}, ending.one_shot(connect), ending.never);
    for (int turn = 0; turn < 10; ++turn)
        ending.engine->run_once(1ms);
    submit_nop(ending.one_shot(fresh));
    std::thread([&] { ending.stream->write_all(ending.one_shot(posted, "posted")); }).join();
    CHECK(ending.engine->statistics().in_flight >= 7);

    ending.engine.reset();
    const Clock::time_point limit = Clock::now() + kPatience;
    while (ending.peer->end() == RawPeer::End::open) {
        REQUIRE(Clock::now() < limit);
        ending.peer->read_some();
    }
    CHECK(ending.peer->end() == RawPeer::End::fin);
    CHECK(write == failure(Errc::closed, ending.peer->received().size()));
    CHECK(payload.starts_with(ending.peer->received()));
    CHECK(queued == failure(Errc::closed));
    CHECK(read == failure(Errc::closed));
    CHECK(queued_read == failure(Errc::closed));
    CHECK(accept == failure(Errc::closed));
    CHECK(connect == failure(Errc::closed));
    CHECK(fresh.calls == 1);
    CHECK(posted == failure(Errc::closed));
    CHECK(!ending.never);
}

TEST_CASE_TEMPLATE("streams and listeners may be destroyed after their engine", Kernel, OnLinux,
                   OnPoll) {
    const std::size_t descriptors = open_descriptors();
    {
        Ending ending(Kernel::kKind);
        ending.engine.reset();
        ending.stream->close();
        CHECK(ending.stream->native_handle() == -1);
        ending.listener->close();
        ending.stream.reset();
        ending.listener.reset();
    }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE_TEMPLATE("streams and listeners may be destroyed before their engine", Kernel, OnLinux,
                   OnPoll) {
    const std::size_t descriptors = open_descriptors();
    {
        Ending ending(Kernel::kKind);
        std::string in(10, '\0');
        Ended read, accept;
        ending.stream->read(ending.one_shot(read, in));
        ending.listener->accept(ending.one_shot(accept), ending.never);
        ending.engine->run_once(0ns);
        ending.stream.reset();
        ending.listener.reset();
        ending.engine.reset();
        CHECK(read == failure(Errc::closed));
        CHECK(accept == failure(Errc::closed));
    }
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE_TEMPLATE(
    "the destructor of an engine that never ran ends its operations and runs its tasks", Kernel,
    OnLinux, OnPoll) {
    const std::size_t descriptors = open_descriptors();
    Ended nop;
    bool ran = false;
    {
        Engine engine(options_on(Kernel::kKind));
        const tcp::Listener listener(engine, Endpoint::loopback(0));
        submit_nop(one_shot(engine, nop));
        engine.post([&] { ran = true; });
    }
    CHECK(nop.calls == 1);
    CHECK(ran);
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE_TEMPLATE("the destructor of an engine runs the pending tasks", Kernel, OnLinux, OnPoll) {
    std::string order;
    {
        Engine engine(options_on(Kernel::kKind));
        engine.run_once(0ns);
        engine.post([&] {
            order += 'a';
            engine.post([&] { order += 'c'; });
        });
        engine.post([&] { order += 'b'; });
    }
    CHECK(order == "abc");
}

TEST_CASE_TEMPLATE(
    "an operation that a callback submits while the engine ends gets its callback too", Kernel,
    OnLinux, OnPoll) {
    Ending ending(Kernel::kKind);
    std::string in(10, '\0');
    int calls = 0;
    std::error_code last;
    Aio* const read = new Aio(*ending.engine, [&](Aio& self) {
        last = self.result();
        if (++calls < 3) {
            ending.stream->read(self);
        } else {
            delete &self;
        }
    });
    read->set_iov(in.data(), in.size());
    ending.stream->read(*read);
    ending.engine->run_once(0ns);
    const Clock::time_point begin = Clock::now();
    ending.engine.reset();
    CHECK(calls == 3);
    CHECK(last == Errc::closed);
    CHECK(Clock::now() - begin < kPatience);  // the engine has nothing to wait for
}

TEST_CASE_TEMPLATE("a parked operation ends with closed when its engine is destroyed", Kernel,
                   OnLinux, OnPoll) {
    std::string logged;
    EngineOptions options = options_on(Kernel::kKind);
    options.drain_timeout = kPatience;  // beyond the test's own timeout
    options.log = [&logged](LogLevel, std::string_view text) { logged += text; };
    Ended parked, timed, parked_again, posted;
    const Clock::time_point begin = Clock::now();
    {
        Engine engine(options);
        engine.run_once(0ns);
        submit_parked(one_shot(engine, parked));
        Aio& with_deadline = one_shot(engine, timed);
        with_deadline.set_timeout(1h);
        submit_parked(with_deadline);
        // Its callback, which runs when the engine ends, parks it again.
        Aio* const again = new Aio(engine, [&parked_again](Aio& self) {
            parked_again = {parked_again.calls + 1, self.result(), self.count()};
            if (parked_again.calls == 3) {
                delete &self;
            } else {
                submit_parked(self);
            }
        });
        submit_parked(*again);
        again->cancel();
        engine.run_once(0ns);
        CHECK(parked_again == failure(Errc::canceled));
        std::thread([&] { submit_parked(one_shot(engine, posted)); }).join();
    }
    CHECK(parked == failure(Errc::closed));
    CHECK(timed == failure(Errc::closed));
    CHECK(posted == failure(Errc::closed));
    CHECK(parked_again.calls == 3);
    CHECK(parked_again.error == Errc::closed);
    CHECK(logged.empty());
    CHECK(Clock::now() - begin < kPatience);
}

TEST_CASE_TEMPLATE("a canceler that parks its Aio again runs again while the engine ends", Kernel,
                   OnLinux, OnPoll) {
    for (const bool canceled_before : {false, true}) {
        CAPTURE(canceled_before);
        std::string logged;
        EngineOptions options = options_on(Kernel::kKind);
        options.log = [&logged](LogLevel, std::string_view text) { logged += text; };
        int calls = 0;
        Ended ended;
        {
            Engine engine(options);
            engine.run_once(0ns);
            Aio& aio = one_shot(engine, ended);
            REQUIRE(Provider::submit(engine, aio, &park_until_fifth_call, &calls));
            if (canceled_before) aio.cancel();
        }
        CHECK(calls == 5);
        CHECK(ended == failure(canceled_before ? Errc::canceled : Errc::closed));
        CHECK(logged.empty());
    }
}

TEST_CASE_TEMPLATE(
    "the destructor of an engine returns at once after a last callback that posts a task", Kernel,
    OnLinux, OnPoll) {
    EngineOptions options = options_on(Kernel::kKind);
    options.drain_timeout = kPatience;  // beyond the test's timeout
    bool ran = false;
    const Clock::time_point begin = Clock::now();
    {
        Engine engine(options);
        engine.run_once(0ns);
        Aio* const parked = new Aio(engine, [&engine, &ran](Aio& self) {
            engine.post([&ran] { ran = true; });
            delete &self;
        });
        submit_parked(*parked);
    }
    CHECK(ran);
    CHECK(Clock::now() - begin < kPatience);
}

TEST_CASE_TEMPLATE("an engine cancels its operations by one entry at its end", Kernel, OnLinux,
                   OnPoll) {
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    REQUIRE(fd >= 0);
    std::uint64_t before = 0;
    std::uint64_t entries = 0;
    int closed = 0;
    {
        Engine engine(options_on(Kernel::kKind));
        for (int i = 0; i < 3; ++i) {
            Aio* const poll = new Aio(engine, [&](Aio& self) {
                if (self.result() == Errc::closed) ++closed;
                entries = engine.statistics().submissions - before;
                delete &self;
            });
            submit_poll(*poll, fd);
        }
        engine.run_once(0ns);
        before = engine.statistics().submissions;
    }
    CHECK(closed == 3);
    CHECK(entries == 1);
    ::close(fd);
}

TEST_CASE_TEMPLATE("a listener that a task makes while the engine ends does not delay the end",
                   Kernel, OnLinux, OnPoll) {
    EngineOptions options = options_on(Kernel::kKind);
    options.drain_timeout = kPatience;  // beyond the test's timeout
    std::unique_ptr<tcp::Listener> late;
    const Clock::time_point begin = Clock::now();
    {
        Engine engine(options);
        engine.run_once(0ns);
        engine.post([&] {
            engine.post(
                [&] { late = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0)); });
        });
    }
    CHECK(late);
    CHECK(Clock::now() - begin < kPatience);
}

TEST_CASE("the destructor of an engine logs operations that do not end within drain_timeout") {
    for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
        std::string logged;
        EngineOptions options = options_on(kind);
        options.drain_timeout = 20ms;
        options.log = [&logged](LogLevel, std::string_view text) { logged += text; };
        // Its provider never ends it, so it is never destroyed either.
        alignas(Aio) std::byte memory[sizeof(Aio)];
        {
            Engine engine(options);
            Aio* const stuck = ::new (static_cast<void*>(memory)) Aio(engine);
            Provider::submit(
                engine, *stuck,
                [](Aio& aio) noexcept { Provider::park(aio, [](Aio&) noexcept {}); }, nullptr);
            engine.run_once(0ns);
            stuck->cancel();
            engine.run_once(0ns);
            CHECK(stuck->busy());
        }
        CHECK(logged.find("destroyed while operations were in flight") != std::string::npos);
    }
}

}  // namespace uaio::engine_end_test
