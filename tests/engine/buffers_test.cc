// Engine::buffers(): sizes, reuse, threads, ends and limits. Writes from them are tested in
// tests/transport/socket/registered_write_test.cc.
#include <uaio/buffers.h>
#include <uaio/engine.h>
#include <uaio/sim.h>

#include "tests/support/child_process.h"
#include "tests/support/kernels.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::buffers_test {

constexpr std::size_t kArenaBytes = std::size_t{2} << 20;
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

void fill(const Buffer& buffer, int byte) { std::memset(buffer.data(), byte, buffer.size()); }

bool is_filled(const Buffer& buffer, int byte) {
    return std::ranges::all_of(buffer.bytes(),
                               [byte](std::byte one) { return one == std::byte(byte); });
}

TEST_CASE_TEMPLATE("a buffer has the smallest size that holds the bytes", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    struct Row {
        std::size_t wanted;
        std::size_t size;
    };
    for (const Row row : {Row{1, 4096}, Row{4096, 4096}, Row{4097, 16384}, Row{16385, 65536},
                          Row{65537, 262144}, Row{262145, 1 << 20}, Row{1 << 20, 1 << 20}}) {
        const Buffer buffer = engine.buffers().take(row.wanted);
        REQUIRE(buffer);
        CHECK(buffer.size() == row.size);
        CHECK(buffer.bytes().data() == buffer.data());
        CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096 == 0);
    }
    CHECK_FALSE(engine.buffers().take(0));
    CHECK_FALSE(engine.buffers().take(Buffers::kLargest + 1));
    CHECK_FALSE(engine.buffers().take(~std::size_t{0}));
}

TEST_CASE("buffers do not overlap, over several arenas") {
    SimKernel kernel(1);
    Engine engine(kernel);
    std::vector<Buffer> all;
    for (const std::size_t size : {4096u, 16384u, 65536u, 262144u, 1u << 20}) {
        for (std::size_t bytes = 0; bytes < 2 * kArenaBytes; bytes += size)
            all.push_back(engine.buffers().take(size));
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        fill(all[i], static_cast<int>(i % 251));
    for (std::size_t i = 0; i < all.size(); ++i)
        REQUIRE(is_filled(all[i], static_cast<int>(i % 251)));
}

TEST_CASE("a buffer that was given back is handed out again, for its size alone") {
    SimKernel kernel(1);
    Engine engine(kernel);
    Buffer buffer = engine.buffers().take(1 << 20);
    const Buffer other = engine.buffers().take(1 << 20);
    std::byte* const first = buffer.data();
    buffer = Buffer();
    CHECK_FALSE(buffer);
    CHECK(buffer.size() == 0);
    CHECK(engine.buffers().take(4096).data() != first);
    CHECK(engine.buffers().take(1 << 20).data() == first);
}

TEST_CASE("a moved buffer is given back once") {
    SimKernel kernel(1);
    Engine engine(kernel);
    Buffer one = engine.buffers().take(1 << 20);
    Buffer two = std::move(one);
    CHECK_FALSE(one);
    REQUIRE(two);
    Buffer three = engine.buffers().take(1 << 20);
    std::byte* const kept = two.data();
    std::byte* const freed = three.data();
    three = std::move(two);
    CHECK(three.data() == kept);
    CHECK(engine.buffers().take(1 << 20).data() == freed);
}

TEST_CASE("without room for an arena no buffer is handed out, until one is given back") {
    SimKernel kernel(1);
    Engine engine(kernel);
    std::vector<Buffer> all;
    std::set<std::byte*> places;
    while (Buffer buffer = engine.buffers().take(Buffers::kLargest)) {
        places.insert(buffer.data());
        all.push_back(std::move(buffer));
        REQUIRE(all.size() <= kMostBytes / Buffers::kLargest);
    }
    CHECK(places.size() == kMostBytes / Buffers::kLargest);
    CHECK_FALSE(engine.buffers().take(1));
    all.pop_back();
    CHECK(engine.buffers().take(Buffers::kLargest));
}

TEST_CASE_TEMPLATE("any thread gives buffers back while the engine takes others", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    constexpr unsigned kThreads = 3;
    constexpr unsigned kRounds = 200;
    std::vector<std::jthread> threads;
    for (unsigned round = 0; round < kRounds; ++round) {
        std::vector<Buffer> taken;
        for (const std::size_t size : {4096u, 65536u, 4096u, 262144u}) {
            taken.push_back(engine.buffers().take(size));
            REQUIRE(taken.back());
            fill(taken.back(), static_cast<int>(round));
        }
        if (threads.size() == kThreads) threads.erase(threads.begin());
        threads.emplace_back([taken = std::move(taken), round]() mutable {
            for (Buffer& buffer : taken) {
                if (!is_filled(buffer, static_cast<int>(round & 255))) std::abort();
                buffer = Buffer();
            }
        });
    }
}

TEST_CASE_TEMPLATE("a buffer outlives its engine", Kernel, OnLinux, OnPoll) {
    std::optional<Engine> engine(options_on(Kernel::kKind));
    Buffer buffer = engine->buffers().take(10000);
    Buffer other = engine->buffers().take(100);
    fill(buffer, 7);
    engine.reset();
    CHECK(is_filled(buffer, 7));
    std::jthread([last = std::move(other)] {}).join();
    fill(buffer, 8);
    CHECK(is_filled(buffer, 8));
}

TEST_CASE("an engine whose thread has ended hands out no buffers") {
    std::optional<Engine> engine;
    Buffer before;
    std::jthread([&] {
        engine.emplace();
        engine->run_once(std::chrono::nanoseconds::zero());
        before = engine->buffers().take(1);
    }).join();
    REQUIRE(before);
    fill(before, 1);
    CHECK_FALSE(engine->buffers().take(1));
}

TEST_CASE("a forked child has copies of buffers, and gets no others") {
    Engine engine;
    Buffer buffer = engine.buffers().take(4096);
    fill(buffer, 1);
    const ChildEnd end = run_in_child([&]() -> std::string {
        if (!is_filled(buffer, 1)) return "the copy differs";
        fill(buffer, 2);
        if (engine.buffers().take(4096)) return "the child got a buffer";
        buffer = Buffer();
        return "";
    });
    INFO(end.output);
    CHECK(end.succeeded());
    CHECK(is_filled(buffer, 1));
    const Buffer other = engine.buffers().take(4096);
    CHECK(other.data() != buffer.data());
}

TEST_CASE("buffers are plain memory beyond the limit of locked memory") {
    const ChildEnd end = run_in_child([]() -> std::string {
        if (!become_unprivileged(64 * 1024)) return "the limit could not be set";
        EngineOptions small;
        small.entries = 8;
        small.completions = 16;
        Engine engine(options_on(KernelKind::io_uring, small));
        const Buffer buffer = engine.buffers().take(4096);
        if (!buffer) return "no buffer";
        fill(buffer, 1);
        return engine.buffers().is_registered(buffer) ? "registered all the same" : "";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

}  // namespace uaio::buffers_test
