#include "engine/timer_queue.h"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::timer_queue_test {

constexpr std::int64_t kTick = 1024;  // the width of a slot: the most that a timer may be late
constexpr std::int64_t kSecond = 1'000'000'000;

// A reference model: a plain list of deadlines.
struct Timer : TimerNode {
    bool expired = false;
};

TEST_CASE("an empty timer queue has no deadline and expires nothing") {
    TimerQueue timers;
    CHECK(timers.armed() == 0);
    CHECK(timers.next_ns() == TimerNode::kNoDeadline);
    CHECK(timers.expire(0) == nullptr);
    CHECK(timers.expire(INT64_MAX) == nullptr);
}

TEST_CASE("a timer is never early and late by less than a slot") {
    for (const std::int64_t now : {std::int64_t{0}, std::int64_t{1}, 3600 * kSecond + 7}) {
        for (const std::int64_t delay :
             {std::int64_t{1}, kTick - 1, kTick, kTick + 1, 63 * kTick, 64 * kTick, 65 * kTick,
              64 * 64 * kTick + 3, kSecond, 3600 * kSecond, 86400 * 365 * kSecond}) {
            TimerQueue timers;
            Timer timer;
            timer.deadline_ns = now + delay;
            timers.arm(timer, now);
            CHECK(timers.armed() == 1);
            // Advances from wake-up to wake-up, as the loop does.
            std::int64_t time = now;
            int wakes = 0;
            while (!timers.expire(time)) {
                const std::int64_t next = timers.next_ns();
                REQUIRE(next > time);
                REQUIRE(next <= timer.deadline_ns + kTick);
                time = next;
                REQUIRE(++wakes < 12);
            }
            CHECK(time >= timer.deadline_ns);
            CHECK(time < timer.deadline_ns + kTick);
            CHECK(timers.armed() == 0);
            CHECK(timer.previous == nullptr);
            CHECK(timers.next_ns() == TimerNode::kNoDeadline);
        }
    }
}

TEST_CASE("a held timer never expires and is not counted, but gather() finds it") {
    TimerQueue timers;
    Timer held, other, near, far;
    near.deadline_ns = kSecond;
    far.deadline_ns = 86400 * kSecond;
    timers.hold(held);
    timers.hold(other);
    CHECK(timers.armed() == 0);
    CHECK(timers.next_ns() == TimerNode::kNoDeadline);
    CHECK(timers.expire(INT64_MAX) == nullptr);
    timers.arm(near, 0);
    timers.arm(far, 0);
    timers.disarm(other);
    CHECK(timers.armed() == 2);
    timers.gather();
    CHECK(timers.armed() == 2);
    Timer late;
    late.deadline_ns = kSecond;
    std::vector<TimerNode*> found;
    while (TimerNode* const node = timers.take_gathered()) {
        CHECK(node->previous == nullptr);
        if (found.empty()) timers.arm(late, 0);
        found.push_back(node);
    }
    CHECK(timers.armed() == 1);
    timers.disarm(late);
    CHECK(found.size() == 3);
    for (TimerNode* const node : {&held, &near, &far})
        CHECK(std::count(found.begin(), found.end(), node) == 1);
    CHECK(timers.armed() == 0);
}

TEST_CASE("a deadline in the last slot of the clock never expires") {
    for (const std::int64_t before_end : {std::int64_t{1}, kTick - 2}) {
        TimerQueue timers;
        Timer timer, sooner;
        timer.deadline_ns = TimerNode::kNoDeadline - before_end;
        timers.arm(timer, 0);
        CHECK(timers.next_ns() == TimerNode::kNoDeadline);
        sooner.deadline_ns = kSecond;
        timers.arm(sooner, 0);
        CHECK(timers.next_ns() <= kSecond + kTick);
        CHECK(timers.expire(kSecond + kTick) == &sooner);
        CHECK(timers.next_ns() == TimerNode::kNoDeadline);
        CHECK(timers.expire(INT64_MAX) == nullptr);
        timers.disarm(timer);
        CHECK(timers.armed() == 0);
    }
}

TEST_CASE("a deadline in the past expires at once") {
    TimerQueue timers;
    Timer timer;
    for (const std::int64_t deadline : {std::int64_t{0}, 5 * kSecond - 1, 5 * kSecond}) {
        timer.deadline_ns = deadline;
        timers.arm(timer, 5 * kSecond);
        CHECK(timers.next_ns() <= 5 * kSecond + kTick);
        CHECK(timers.expire(5 * kSecond + kTick) == &timer);
    }
}

// A callback that arms a timer reads the time later than the loop that called it.
TEST_CASE("a deadline that passed between expire() and arm() expires in the next expire()") {
    TimerQueue timers;
    Timer timer;
    CHECK(timers.expire(4 * kSecond) == nullptr);
    timer.deadline_ns = 4 * kSecond + 1;
    timers.arm(timer, 5 * kSecond);
    CHECK(timers.expire(4 * kSecond) == &timer);
}

TEST_CASE("a disarmed timer does not expire") {
    TimerQueue timers;
    Timer timers_armed[3];
    for (int i = 0; i < 3; ++i) {
        timers_armed[i].deadline_ns = kSecond;  // in one slot
        timers.arm(timers_armed[i], 0);
    }
    timers.disarm(timers_armed[1]);
    CHECK(timers.armed() == 2);
    const TimerNode* const first = timers.expire(2 * kSecond);
    const TimerNode* const second = timers.expire(2 * kSecond);
    CHECK((first == &timers_armed[0] || first == &timers_armed[2]));
    CHECK((second == &timers_armed[0] || second == &timers_armed[2]));
    CHECK(first != second);
    CHECK(timers.expire(2 * kSecond) == nullptr);
}

TEST_CASE("an expired timer can be disarmed before it is taken") {
    TimerQueue timers;
    Timer a;
    Timer b;
    a.deadline_ns = b.deadline_ns = kSecond;
    timers.arm(a, 0);
    timers.arm(b, 0);
    TimerNode* const taken = timers.expire(2 * kSecond);
    REQUIRE(taken);
    timers.disarm(taken == &a ? b : a);  // as a callback of the first may do
    CHECK(timers.expire(2 * kSecond) == nullptr);
    CHECK(timers.armed() == 0);
}

TEST_CASE("a timer queue that was empty for a long time is on time for the next timer") {
    TimerQueue timers;
    Timer timer;
    timer.deadline_ns = kSecond;
    timers.arm(timer, 0);
    timers.disarm(timer);
    const std::int64_t later = 100'000 * kSecond;
    timer.deadline_ns = later + kSecond;
    timers.arm(timer, later);
    CHECK(timers.expire(later + kSecond - 2 * kTick) == nullptr);
    CHECK(timers.expire(later + kSecond + kTick) == &timer);
}

TEST_CASE("random timers expire once, in order of their slots") {
    std::minstd_rand random(11);
    TimerQueue timers;
    std::vector<std::unique_ptr<Timer>> all;
    std::int64_t now = 12345;
    std::size_t fired = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto timer = std::make_unique<Timer>();
        const int scale = static_cast<int>(random() % 36);
        timer->deadline_ns = now + static_cast<std::int64_t>(random() % (1ull << scale));
        timers.arm(*timer, now);
        all.push_back(std::move(timer));
        if (random() % 3 == 0) {
            Timer& other = *all[random() % all.size()];
            if (other.previous) {
                timers.disarm(other);
                other.expired = true;
            }
        }
        if (random() % 4 == 0) {
            now += static_cast<std::int64_t>(random() % (1u << (random() % 24)));
            std::int64_t last = 0;
            while (TimerNode* node = timers.expire(now)) {
                REQUIRE(node->deadline_ns <= now);
                REQUIRE(node->deadline_ns / kTick >= last / kTick - 1);
                last = std::max(last, node->deadline_ns);
                static_cast<Timer*>(node)->expired = true;
                ++fired;
            }
            CHECK(timers.next_ns() > now - kTick);
        }
    }
    now += 1ll << 40;
    while (TimerNode* node = timers.expire(now)) {
        static_cast<Timer*>(node)->expired = true;
        ++fired;
    }
    CHECK(fired > 1000);
    CHECK(timers.armed() == 0);
    CHECK(std::ranges::all_of(all, [](const auto& timer) { return timer->expired; }));
}

TEST_CASE("no timer expires later than its slot, whatever the steps of time") {
    std::minstd_rand random(5);
    for (int round = 0; round < 300; ++round) {
        TimerQueue timers;
        std::int64_t now = static_cast<std::int64_t>(random()) * 1000;
        std::vector<Timer> some(20);
        for (Timer& timer : some) {
            timer.deadline_ns = now + static_cast<std::int64_t>(random() % (1ull << 34));
            timers.arm(timer, now);
        }
        for (std::size_t left = some.size(); left > 0;) {
            const std::int64_t next = timers.next_ns();
            const auto due = [&](const Timer& timer) {
                return timer.previous && timer.deadline_ns + kTick < now;
            };
            REQUIRE(std::ranges::none_of(some, due));
            REQUIRE(next != TimerNode::kNoDeadline);
            now = std::max(now, next);
            while (const TimerNode* node = timers.expire(now)) {
                REQUIRE(node->deadline_ns <= now);
                --left;
            }
        }
    }
}

}  // namespace uaio::timer_queue_test
