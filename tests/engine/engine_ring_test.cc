// The limits of an engine's rings, and the number of system calls.
#include <uaio/aio.h>
#include <uaio/engine.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <algorithm>
#include <memory>

#include <doctest/doctest.h>

namespace uaio::engine_ring_test {

using namespace std::chrono_literals;

EngineOptions with_rings(KernelKind kind, unsigned entries, unsigned completions) {
    EngineOptions options;
    options.entries = entries;
    options.completions = completions;
    return options_on(kind, options);
}

TEST_CASE_TEMPLATE("500 submissions in one turn complete on rings of any size", Kernel, OnLinux,
                   OnPoll) {
    for (const unsigned entries : {1u, 2u, 8u, 256u}) {
        Engine engine(with_rings(Kernel::kKind, entries, 2));
        std::vector<std::unique_ptr<Operation>> nops;
        for (int i = 0; i < 500; ++i)
            nops.push_back(std::make_unique<Operation>(engine));
        for (int round = 0; round < 3; ++round) {
            for (const auto& nop : nops) {
                nop->forget();
                submit_nop(nop->aio);
            }
            for (const auto& nop : nops) {
                CHECK(!nop->aio.wait());
                CHECK(nop->ended() == success(0));
            }
        }
        CHECK(engine.statistics().full_rings > 0);
        CHECK(engine.statistics().in_flight == 0);
    }
}

TEST_CASE_TEMPLATE("callbacks that submit into full rings lose no operation", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(with_rings(Kernel::kKind, 2, 4));
    constexpr int kChains = 60;
    constexpr int kLength = 50;
    std::vector<std::unique_ptr<Aio>> chains;
    std::vector<int> left(kChains, kLength);
    int second_calls = 0;
    std::vector<std::unique_ptr<Aio>> seconds;
    for (int i = 0; i < kChains; ++i) {
        seconds.push_back(std::make_unique<Aio>(engine, [&](Aio&) { ++second_calls; }));
        chains.push_back(std::make_unique<Aio>(engine, [&, i](Aio& self) {
            if (!seconds[static_cast<std::size_t>(i)]->busy()) {
                submit_nop(*seconds[static_cast<std::size_t>(i)]);
            }
            if (--left[static_cast<std::size_t>(i)] > 0) submit_nop(self);
        }));
        submit_nop(*chains.back());
    }
    for (const auto& chain : chains)
        CHECK(!chain->wait());
    for (const auto& second : seconds)
        CHECK(!second->wait());
    for (const int rest : left)
        CHECK(rest == 0);
    CHECK(second_calls >= kChains);
    CHECK(engine.statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("64 writes arrive whole on rings of one and two entries", Kernel, OnLinux,
                   OnPoll) {
    ConnectionFixtureOptions options;
    options.engine.entries = 1;
    options.engine.completions = 2;
    ConnectionFixture fixture(Kernel::kKind, options);
    const std::string bytes = pattern(64 * 10'000);
    std::vector<std::unique_ptr<Operation>> writes;
    for (std::size_t i = 0; i < 64; ++i) {
        writes.push_back(std::make_unique<Operation>(
            fixture.engine(), std::string_view(bytes).substr(i * 10'000, 10'000)));
        writes.back()->aio.set_timeout(std::chrono::seconds(kPatience));
        fixture.connection().write_all(writes.back()->aio);
    }
    CHECK(fixture.receive(bytes.size()) == bytes);
    REQUIRE(fixture.run_until_done(*writes.back()));
    for (const auto& write : writes)
        CHECK(write->ended() == success(10'000));
}

TEST_CASE_TEMPLATE("the options clamp the number of ring entries to the supported range", Kernel,
                   OnLinux, OnPoll) {
    for (const unsigned entries : {0u, 3u, 1'000'000u}) {
        Engine engine(with_rings(Kernel::kKind, entries, 0));
        Operation nop(engine);
        submit_nop(nop.aio);
        CHECK(!nop.aio.wait());
    }
}

TEST_CASE_TEMPLATE("the submissions of a turn cost one system call", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    std::vector<std::unique_ptr<Operation>> nops;
    for (int i = 0; i < 32; ++i)
        nops.push_back(std::make_unique<Operation>(engine));
    engine.run_once(0ns);
    const EngineStatistics before = engine.statistics();
    for (int round = 0; round < 100; ++round) {
        for (const auto& nop : nops)
            submit_nop(nop->aio);
        CHECK(engine.run_once(1s) == 32);
    }
    const EngineStatistics after = engine.statistics();
    CHECK(after.submissions - before.submissions == 3200);
    CHECK(after.completions - before.completions == 3200);
    CHECK(after.operations - before.operations == 3200);
    CHECK(after.enters - before.enters == 100);
    CHECK(after.turns - before.turns == 100);
}

TEST_CASE_TEMPLATE("a write_all that fits costs one submission and one system call", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "sixteen bytes...");
    fixture.engine().run_once(0ns);
    const EngineStatistics before = fixture.engine().statistics();
    for (int round = 0; round < 100; ++round) {
        write.forget();
        fixture.connection().write_all(write.aio);
        REQUIRE(!write.aio.wait());
        fixture.peer().read_some();
    }
    const EngineStatistics after = fixture.engine().statistics();
    CHECK(after.submissions - before.submissions == 100);
    CHECK(after.enters - before.enters == 100);
    CHECK(after.short_writes == before.short_writes);
}

TEST_CASE_TEMPLATE("the kernel never sends the bytes of a withdrawn entry", Kernel, OnLinux,
                   OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    std::vector<std::unique_ptr<Operation>> writes;
    for (int i = 0; i < 50; ++i) {
        writes.push_back(std::make_unique<Operation>(fixture.engine(), i % 2 ? "keep" : "drop"));
        fixture.connection().write_all(writes.back()->aio);
    }
    for (std::size_t i = 0; i < 50; i += 2)
        writes[i]->aio.cancel();
    REQUIRE(fixture.run_until([&] {
        return std::ranges::all_of(writes, [](const auto& write) { return write->done(); });
    }));
    std::string expected;
    for (std::size_t i = 0; i < 50; ++i) {
        CHECK(writes[i]->ended() == (i % 2 ? success(4) : failure(Errc::canceled)));
        if (i % 2) expected += "keep";
    }
    CHECK(fixture.receive(100) == expected);
}

TEST_CASE("operations complete and cancel with a submission polling thread (SQPOLL)") {
    ConnectionFixtureOptions options;
    options.engine.submission_poll_ms = 5;
    options.engine.entries = 8;
    ConnectionFixture fixture(KernelKind::io_uring, options);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    for (std::size_t round = 1; round <= 5; ++round) {
        write.forget();
        fixture.connection().write_all(write.aio);
        CHECK(fixture.receive(round * payload.size()).substr((round - 1) * payload.size()) ==
              payload);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == success(payload.size()));
    }
    write.forget();
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_blocked());
    // The thread runs the cancel at any time; a peer that reads could let the write complete first.
    write.aio.cancel();
    REQUIRE(fixture.run_until_done(write));
    const std::size_t before = 5 * payload.size();
    const std::size_t got = fixture.receive_to_end().size() - before;
    CHECK(write.ended() == failure(Errc::canceled, got));
}

}  // namespace uaio::engine_ring_test
