// The deadlines of an engine: a hierarchical wheel of intrusive lists. Arming and disarming are a
// few stores, whatever the number armed, and never allocate. It has no clock: callers pass the
// time. Engine's thread only.
//
// Slots are 1.024 us wide on the lowest of nine levels and 64 times wider on each next one. A node
// lies on the level of the highest 6-bit digit in which its tick differs from the current one, so
// all nodes on a lower level are due before any on a higher one; when time enters a slot of a
// higher level, its nodes are spread over the lower ones.
#pragma once

#include <uaio/nodes.h>

#include <cstddef>
#include <cstdint>

namespace uaio {

class TimerQueue {
public:
    // Arms `node` for node.deadline_ns, at least 0, in nanoseconds of the clock that `now_ns` is
    // read from. REQUIRES: not armed. The node must not move until it expires or is disarmed.
    void arm(TimerNode& node, std::int64_t now_ns) noexcept;

    // REQUIRES: armed.
    void disarm(TimerNode& node) noexcept;

    // Takes out one node whose deadline is not after `now_ns`, or after the time of an arm() that
    // was later, nullptr if there is none. Never early, late by less than a slot of the lowest
    // level.
    TimerNode* expire(std::int64_t now_ns) noexcept;

    // The time of the next call to expire(), TimerNode::kNoDeadline for never. May be earlier than
    // the first deadline, when nodes must first be spread over lower levels.
    std::int64_t next_ns() noexcept;

    std::size_t armed() const noexcept { return armed_; }

    // Keeps `node`, which has no deadline, to be found by gather(); it is disarmed like any other
    // and does not count as armed. REQUIRES: not armed, deadline_ns is kNoDeadline.
    void hold(TimerNode& node) noexcept;

    // Becomes empty without reading a node; nodes that were armed may not be disarmed.
    void forget_all() noexcept;

    // For the end of an engine: takes every node, armed or held, out of its order; each stays armed
    // or held until take_gathered() takes it out, in any order. Nodes that are armed meanwhile are
    // not among them. Between the two calls nothing may expire. take_gathered() returns nullptr
    // after the last.
    void gather() noexcept;
    TimerNode* take_gathered() noexcept;

private:
    static constexpr int kTickShift = 10;
    static constexpr int kLevelShift = 6;
    static constexpr int kSlots = 1 << kLevelShift;
    static constexpr int kLevels = 9;

    struct Slot {
        int level;
        int index;
        std::uint64_t tick;  // the first tick of the slot
    };

    static_assert(kTickShift + kLevels * kLevelShift >= 63, "every deadline has a level");
    static_assert(kSlots == 64, "a word has one bit for each slot");

    // O(1).
    bool invariants_hold() const noexcept;
    void place(TimerNode& node) noexcept;
    TimerNode* take_any() noexcept;
    // REQUIRES: an armed node that is not in due_.
    bool first_slot(Slot& slot) noexcept;

    static void link(TimerNode*& head, TimerNode& node) noexcept;

    static constexpr std::uint64_t kNever = ~std::uint64_t{0};

    std::uint64_t current_ = 0;        // ticks up to and with this one are over
    std::uint64_t earliest_ = kNever;  // the first slot; arm() makes it 0, and expire() searches
    std::size_t armed_ = 0;
    TimerNode* due_ = nullptr;
    TimerNode* held_ = nullptr;
    TimerNode* gathered_ = nullptr;
    // A bit is set for every slot with nodes; disarm leaves bits of empty slots behind.
    std::uint64_t occupied_[kLevels] = {};
    TimerNode* slots_[kLevels][kSlots] = {};
};

}  // namespace uaio
