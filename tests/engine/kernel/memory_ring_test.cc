#include "engine/kernel/memory_ring.h"

#include <atomic>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::memory_ring_test {

unsigned load(unsigned* value) {
    return std::atomic_ref<unsigned>(*value).load(std::memory_order_acquire);
}

void store(unsigned* value, unsigned to) {
    std::atomic_ref<unsigned>(*value).store(to, std::memory_order_release);
}

// The engine's side, which uses the view alone, as the engine does.
bool submit_nop(const RingView& view, std::uint64_t user_data) {
    const unsigned tail = *view.sq_tail;
    if (tail - load(view.sq_head) == view.sq_mask + 1) return false;
    io_uring_sqe* sqe = &view.sqes[tail & view.sq_mask];
    io_uring_prep_nop(sqe);
    sqe->user_data = user_data;
    store(view.sq_tail, tail + 1);
    return true;
}

bool reap(const RingView& view, std::uint64_t& user_data, int& res, unsigned& flags) {
    const unsigned head = *view.cq_head;
    if (head == load(view.cq_tail)) return false;
    const io_uring_cqe& cqe = view.cqes[head & view.cq_mask];
    user_data = cqe.user_data;
    res = cqe.res;
    flags = cqe.flags;
    store(view.cq_head, head + 1);
    return true;
}

std::uint64_t reap_user_data(const RingView& view) {
    std::uint64_t user_data = 0;
    int res = 0;
    unsigned flags = 0;
    REQUIRE(reap(view, user_data, res, flags));
    return user_data;
}

TEST_CASE("memory ring: sizes are rounded up to powers of two") {
    MemoryRing ring(3, 5);
    CHECK(ring.submission_entries() == 4);
    CHECK(ring.completion_entries() == 8);
    CHECK(ring.view().sq_mask == 3);
    CHECK(ring.view().cq_mask == 7);
}

TEST_CASE("memory ring: entries are taken in the order they were published") {
    MemoryRing ring(4, 4);
    const RingView view = ring.view();
    io_uring_sqe sqe;
    CHECK_FALSE(ring.take(sqe));
    for (std::uint64_t i = 0; i < 4; ++i)
        CHECK(submit_nop(view, i));
    CHECK_FALSE(submit_nop(view, 4));
    CHECK(ring.queued() == 4);
    for (std::uint64_t i = 0; i < 4; ++i) {
        REQUIRE(ring.take(sqe));
        CHECK(sqe.user_data == i);
        CHECK(sqe.opcode == IORING_OP_NOP);
        CHECK(submit_nop(view, i + 4));
    }
    for (std::uint64_t i = 4; i < 8; ++i) {
        REQUIRE(ring.take(sqe));
        CHECK(sqe.user_data == i);
    }
    CHECK(ring.queued() == 0);
}

TEST_CASE("memory ring: a completion has its user data, result and flags") {
    MemoryRing ring(1, 1);
    CHECK(ring.post(0xfeedfacecafebeefULL, -104, IORING_CQE_F_MORE));
    std::uint64_t user_data = 0;
    int res = 0;
    unsigned flags = 0;
    REQUIRE(reap(ring.view(), user_data, res, flags));
    CHECK(user_data == 0xfeedfacecafebeefULL);
    CHECK(res == -104);
    CHECK(flags == IORING_CQE_F_MORE);
}

TEST_CASE("memory ring: completions beyond the ring's size are queued in order") {
    MemoryRing ring(1, 8);
    const RingView view = ring.view();
    for (std::uint64_t i = 0; i < 64; ++i)
        CHECK(ring.post(i, 0, 0) == (i < 8));
    CHECK(ring.overflowed());
    CHECK(ring.ready() == 8);

    CHECK(reap_user_data(view) == 0);
    // There is room now, yet held-back completions are older than new ones.
    CHECK_FALSE(ring.post(64, 0, 0));
    for (std::uint64_t expected = 1; expected <= 64; ++expected) {
        ring.flush_overflow();
        CHECK(ring.ready() == std::min<std::uint64_t>(8, 65 - expected));
        CHECK(reap_user_data(view) == expected);
    }
    CHECK_FALSE(ring.overflowed());
    CHECK(ring.ready() == 0);
}

TEST_CASE("memory ring: a flush without queued completions does nothing") {
    MemoryRing ring(1, 2);
    ring.flush_overflow();
    CHECK(ring.ready() == 0);
    CHECK(ring.post(1, 0, 0));
    ring.flush_overflow();
    CHECK(ring.ready() == 1);
}

TEST_CASE("memory ring: heads and tails wrap without losing an entry") {
    MemoryRing ring(2, 2);
    const RingView view = ring.view();
    // Both ends start just below the wrap.
    *view.sq_head = *view.sq_tail = ~0u - 1;
    *view.cq_head = *view.cq_tail = ~0u - 1;
    io_uring_sqe sqe;
    for (std::uint64_t i = 0; i < 10; ++i) {
        CHECK(submit_nop(view, i));
        REQUIRE(ring.take(sqe));
        CHECK(ring.post(sqe.user_data, 0, 0));
        CHECK(reap_user_data(view) == i);
    }
    CHECK(*view.sq_tail == 8);
    CHECK(*view.cq_tail == 8);
}

TEST_CASE("memory ring: engine and kernel on two threads see whole entries in order") {
    constexpr std::uint64_t kEntries = 20000;
    MemoryRing ring(8, 8);
    const RingView view = ring.view();
    std::thread kernel([&] {
        io_uring_sqe sqe;
        for (std::uint64_t taken = 0; taken < kEntries || ring.overflowed();) {
            ring.flush_overflow();
            if (taken < kEntries && ring.take(sqe)) {
                ring.post(sqe.user_data, static_cast<int>(sqe.user_data & 0xff), 0);
                ++taken;
            } else {
                std::this_thread::yield();
            }
        }
    });
    std::uint64_t submitted = 0;
    std::uint64_t reaped = 0;
    std::uint64_t wrong = 0;
    while (reaped < kEntries) {
        if (submitted < kEntries && submit_nop(view, submitted)) ++submitted;
        std::uint64_t user_data = 0;
        int res = 0;
        unsigned flags = 0;
        if (reap(view, user_data, res, flags)) {
            if (user_data != reaped || res != static_cast<int>(reaped & 0xff)) ++wrong;
            ++reaped;
        } else {
            std::this_thread::yield();
        }
    }
    kernel.join();
    CHECK(wrong == 0);
}

}  // namespace uaio::memory_ring_test
