#include "engine/timer_queue.h"

#include "base/check.h"

#include <bit>

namespace uaio {

bool TimerQueue::invariants_hold() const noexcept {
    const bool due_is_armed = !due_ || (armed_ > 0 && due_->previous == &due_);
    const bool held_has_no_deadline =
        !held_ || (held_->deadline_ns == TimerNode::kNoDeadline && held_->previous == &held_);
    const bool gathered_is_listed = !gathered_ || gathered_->previous == &gathered_;
    return due_is_armed && held_has_no_deadline && gathered_is_listed;
}

void TimerQueue::link(TimerNode*& head, TimerNode& node) noexcept {
    node.next = head;
    node.previous = &head;
    if (head) head->previous = &node.next;
    head = &node;
}

void TimerQueue::arm(TimerNode& node, std::int64_t now_ns) noexcept {
    DCHECK(node.previous == nullptr);
    DCHECK(node.deadline_ns >= 0 && node.deadline_ns != TimerNode::kNoDeadline);
    // With nothing armed expire() has not moved the wheel on; catching up is free then.
    if (armed_ == 0) current_ = static_cast<std::uint64_t>(now_ns) >> kTickShift;
    DCHECK(current_ <= static_cast<std::uint64_t>(now_ns) >> kTickShift);
    ++armed_;
    place(node);
    DCHECK(invariants_hold());
}

void TimerQueue::disarm(TimerNode& node) noexcept {
    DCHECK(node.previous != nullptr && *node.previous == &node);
    DCHECK(!node.next || node.next->previous == &node.next);
    DCHECK(armed_ > 0 || node.deadline_ns == TimerNode::kNoDeadline);
    *node.previous = node.next;
    if (node.next) node.next->previous = node.previous;
    node.previous = nullptr;
    if (node.deadline_ns != TimerNode::kNoDeadline) --armed_;
    DCHECK(invariants_hold());
}

void TimerQueue::hold(TimerNode& node) noexcept {
    DCHECK(node.previous == nullptr);
    DCHECK(node.deadline_ns == TimerNode::kNoDeadline);
    link(held_, node);
    DCHECK(invariants_hold());
}

void TimerQueue::forget_all() noexcept {
    armed_ = 0;
    due_ = held_ = gathered_ = nullptr;
    for (int level = 0; level < kLevels; ++level) {
        occupied_[level] = 0;
        for (TimerNode*& slot : slots_[level])
            slot = nullptr;
    }
}

void TimerQueue::gather() noexcept {
    DCHECK(!gathered_);
    TimerNode* all = nullptr;
    while (TimerNode* const node = take_any()) {
        node->next = all;
        all = node;
    }
    while (TimerNode* const node = all) {
        all = node->next;
        if (node->deadline_ns != TimerNode::kNoDeadline) ++armed_;
        link(gathered_, *node);
    }
}

TimerNode* TimerQueue::take_gathered() noexcept {
    TimerNode* const node = gathered_;
    if (node) disarm(*node);
    return node;
}

TimerNode* TimerQueue::take_any() noexcept {
    TimerNode* any = due_ ? due_ : held_;
    Slot slot{};
    if (!any && armed_ > 0 && first_slot(slot)) any = slots_[slot.level][slot.index];
    if (any) disarm(*any);
    return any;
}

void TimerQueue::place(TimerNode& node) noexcept {
    // Rounded up, so that it never fires early.
    const std::uint64_t deadline = static_cast<std::uint64_t>(node.deadline_ns);
    const std::uint64_t tick = (deadline + ((1u << kTickShift) - 1)) >> kTickShift;
    earliest_ = 0;  // to compare here would cost more than a search in the next turn
    if (tick <= current_) {
        link(due_, node);
        return;
    }
    const int level = (63 - std::countl_zero(tick ^ current_)) / kLevelShift;
    DCHECK(level < kLevels);
    const int index = static_cast<int>(tick >> (level * kLevelShift)) & (kSlots - 1);
    occupied_[level] |= std::uint64_t{1} << index;
    link(slots_[level][index], node);
}

bool TimerQueue::first_slot(Slot& slot) noexcept {
    for (int level = 0; level < kLevels; ++level) {
        while (occupied_[level] != 0) {
            const int index = std::countr_zero(occupied_[level]);
            if (slots_[level][index]) {
                const int shift = level * kLevelShift;
                // The digits above this level are the current ones, those below are zero.
                const std::uint64_t above =
                    level + 1 < kLevels ? current_ >> (shift + kLevelShift) << (shift + kLevelShift)
                                        : 0;
                slot = {level, index, above | static_cast<std::uint64_t>(index) << shift};
                DCHECK(slot.tick > current_);
                return true;
            }
            occupied_[level] &= occupied_[level] - 1;
        }
    }
    DCHECK(armed_ == 0);  // an armed node is in no slot
    return false;
}

TimerNode* TimerQueue::expire(std::int64_t now_ns) noexcept {
    const std::uint64_t now = static_cast<std::uint64_t>(now_ns) >> kTickShift;
    Slot slot{};
    while (!due_) {
        if (armed_ == 0) return nullptr;
        if (now >= earliest_) earliest_ = first_slot(slot) ? slot.tick : kNever;
        if (now < earliest_) {
            if (now > current_) current_ = now;
            return nullptr;
        }
        current_ = slot.tick;
        TimerNode* node = slots_[slot.level][slot.index];
        slots_[slot.level][slot.index] = nullptr;
        while (node) {
            TimerNode* next = node->next;
            place(*node);
            node = next;
        }
    }
    TimerNode* expired = due_;
    disarm(*expired);
    // Not `now_ns`: arm(), in a callback, may have caught up with a later time.
    DCHECK(static_cast<std::uint64_t>(expired->deadline_ns) <= current_ << kTickShift);
    return expired;
}

std::int64_t TimerQueue::next_ns() noexcept {
    if (due_) return static_cast<std::int64_t>(current_ << kTickShift);
    Slot slot{};
    if (armed_ == 0 || !first_slot(slot)) return TimerNode::kNoDeadline;
    DCHECK(earliest_ <= slot.tick);
    earliest_ = slot.tick;
    // A deadline less than a slot before the end of the clock, rounded up, is beyond that end.
    if (slot.tick > static_cast<std::uint64_t>(TimerNode::kNoDeadline) >> kTickShift)
        return TimerNode::kNoDeadline;
    return static_cast<std::int64_t>(slot.tick << kTickShift);
}

}  // namespace uaio
