// Deadlines that move without their timers.
#include "engine/moving_deadline.h"

#include <uaio/engine.h>
#include <uaio/sim.h>

#include "tests/support/child_process.h"
#include "tests/support/kernels.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::moving_deadline_test {

using namespace std::chrono_literals;

struct Scene {
    void move_to(std::chrono::nanoseconds after_begin) {
        deadline.move((begin + after_begin).time_since_epoch().count());
    }
    void run_to(std::chrono::nanoseconds after_begin) {
        while (engine.now() < begin + after_begin)
            engine.run_once(begin + after_begin - engine.now());
        engine.run_once(0ns);
    }
    std::size_t armed() { return EngineCore::of(engine).loop().timers().armed(); }

    SimKernel kernel{1};
    Engine engine{kernel};
    const Clock::time_point begin = engine.now();
    std::vector<Clock::time_point> passed;
    MovingDeadline deadline{EngineCore::of(engine),
                            [](void* scene, std::error_code reason) noexcept {
                                auto& self = *static_cast<Scene*>(scene);
                                CHECK(reason == Errc::timed_out);
                                self.passed.push_back(self.engine.now());
                            },
                            this};
};

TEST_CASE("a moving deadline passes once, at the time that it was moved to last") {
    for (const auto last : {1s, 5s, 20s}) {
        CAPTURE(last.count());
        Scene scene;
        scene.engine.run_once(0ns);
        scene.move_to(5s);
        scene.run_to(500ms);
        scene.move_to(10s);
        scene.move_to(last);
        scene.run_to(last - 1ms);
        CHECK(scene.passed.empty());
        scene.run_to(60s);
        REQUIRE(scene.passed.size() == 1);
        CHECK(scene.passed[0] >= scene.begin + last);
        CHECK(scene.passed[0] < scene.begin + last + 1ms);
        CHECK(scene.armed() == 0);
    }
}

TEST_CASE("a moving deadline that was cleared does not pass, and its timer ends by itself") {
    Scene scene;
    scene.engine.run_once(0ns);
    scene.move_to(5s);
    scene.deadline.clear();
    CHECK(scene.armed() == 1);
    scene.run_to(60s);
    CHECK(scene.passed.empty());
    CHECK(scene.armed() == 0);
    scene.move_to(70s);
    scene.run_to(80s);
    CHECK(scene.passed.size() == 1);
}

TEST_CASE("a moving deadline of the parent has no effect in a child of fork()") {
    Engine engine(options_on(KernelKind::epoll));
    engine.run_once(0ns);
    const auto never = [](void*, std::error_code) noexcept {};
    auto deadline = std::make_unique<MovingDeadline>(EngineCore::of(engine), never, nullptr);
    const auto in = [&engine](std::chrono::seconds delay) {
        return std::chrono::nanoseconds((engine.now() + delay).time_since_epoch()).count();
    };
    deadline->move(in(10s));
    const ChildEnd end = run_in_child([&]() -> std::string {
        deadline->move(in(5s));
        deadline->drop();
        deadline.reset();
        return EngineCore::of(engine).loop().timers().armed() == 0 ? "" : "a timer is armed";
    });
    INFO(end.output);
    CHECK(end.succeeded());
    CHECK(EngineCore::of(engine).loop().timers().armed() == 1);
}

TEST_CASE("a moving deadline that has passed already passes in the next turn") {
    Scene scene;
    scene.engine.run_once(0ns);
    scene.deadline.move(-1);
    CHECK(scene.passed.empty());
    scene.engine.run_once(0ns);
    CHECK(scene.passed.size() == 1);
}

TEST_CASE("a moving deadline that is dropped leaves no timer") {
    Scene scene;
    scene.engine.run_once(0ns);
    scene.move_to(5s);
    scene.deadline.drop();
    CHECK(scene.armed() == 0);
    scene.run_to(10s);
    CHECK(scene.passed.empty());
}

}  // namespace uaio::moving_deadline_test
