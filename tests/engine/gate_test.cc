// Threads that arrive at an engine, visit it, and are refused, while another thread ends it.
#include "engine/gate.h"

#include <atomic>
#include <future>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::gate_test {

TEST_CASE("a gate admits the threads of one engine after another") {
    Gate gate;
    unsigned engine = 0;
    for (int engines = 0; engines < 3; ++engines, engine += 2) {
        CHECK(gate.enter(engine));
        gate.leave();
        CHECK(!gate.enter(engine + 2));
        gate.seal(engine);
        CHECK(!gate.enter(engine));
        gate.seal(engine);
        gate.finish(engine);
        gate.finish(engine);
        gate.wait_for_visits();
        CHECK(!gate.enter(engine));
        gate.wait_until_gone(engine);
    }
}

TEST_CASE("an engine ends on the thread that sealed its gate") {
    Gate gate;
    const auto elsewhere = [&gate] {
        return std::async(std::launch::async, [&gate] { return gate.ends_here(0); }).get();
    };
    CHECK(!gate.ends_here(0));
    gate.seal(0);
    CHECK(gate.ends_here(0));
    CHECK(!elsewhere());
    gate.finish(0);
    CHECK(!gate.ends_here(0));
}

// The thread that arrived is refused a second time, so the other has begun to wait, or is about to.
TEST_CASE("seal() waits for the arrivals that have begun") {
    for (int tries = 0; tries < 20; ++tries) {
        Gate gate;
        std::atomic<bool> left = false;
        REQUIRE(gate.enter(0));
        std::future<bool> sealed = std::async(std::launch::async, [&] {
            gate.seal(0);
            return left.load();
        });
        while (gate.enter(0)) {
            gate.leave();
            std::this_thread::yield();
        }
        left = true;
        gate.leave();
        CHECK(sealed.get());
    }
}

TEST_CASE("the destructor of an engine waits for visits, and a refused thread for its end") {
    for (int tries = 0; tries < 20; ++tries) {
        Gate gate;
        std::atomic<bool> gone = false;
        std::atomic<bool> left = false;
        gate.begin_visit();
        gate.seal(0);
        std::future<bool> refused = std::async(std::launch::async, [&] {
            gate.wait_until_gone(0);
            return gone.load();
        });
        std::future<bool> destroyed = std::async(std::launch::async, [&] {
            gate.wait_for_visits();
            return left.load();
        });
        gone = true;
        gate.finish(0);
        CHECK(refused.get());
        left = true;
        gate.end_visit();
        CHECK(destroyed.get());
    }
}

}  // namespace uaio::gate_test
