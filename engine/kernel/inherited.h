// Replaces, in a child of fork(2), the kernel of an engine that the child inherited: an io_uring's
// memory is not mapped there, and an epoll set is the parent's. Calls that would use the rings or
// change a connection fail with EOWNERDEAD, except those that destructors make unconditionally:
// close() closes the child's copy, and discarding bytes and removing files do nothing.
#pragma once

#include <uaio/error.h>

#include "engine/kernel/kernel.h"

#include <cerrno>
#include <cstddef>

#include <liburing.h>

namespace uaio {

class InheritedKernel final : public Kernel {
public:
    InheritedKernel() noexcept {
        // The entries and completions of a callback that forked go here. Every completion is one
        // that the loop ignores.
        ring_ = {.sqes = reinterpret_cast<io_uring_sqe*>(sqe_),
                 .sq_head = &sq_head_,
                 .sq_tail = &sq_tail_,
                 .sq_mask = 0,
                 .cqes = reinterpret_cast<io_uring_cqe*>(cqe_),
                 .cq_head = &cq_head_,
                 .cq_tail = &cq_tail_,
                 .cq_mask = 0};
    }

    // `position`: the head of the empty completion ring. `ignored`: the user_data of its one entry.
    void take_over(const Kernel& kernel, unsigned position, std::uint64_t ignored) noexcept {
        kind_ = kernel.kind();
        cq_tail_ = position;
        ring_.cqes->user_data = ignored;
    }

    std::error_code bind() noexcept override { return error_from_result(-EOWNERDEAD); }
    int enter(unsigned, Clock::time_point) noexcept override { return -EOWNERDEAD; }
    Clock::time_point now() noexcept override { return Clock::now(); }
    void wake() noexcept override {}
    int wake_fd() const noexcept override { return -1; }
    std::error_code notify(int) noexcept override { return error_from_result(-EOWNERDEAD); }
    bool pending() const noexcept override { return false; }

    int socket(int, int, int) noexcept override { return -EOWNERDEAD; }
    int bind_socket(int, const sockaddr*, socklen_t) noexcept override { return -EOWNERDEAD; }
    int listen(int, int) noexcept override { return -EOWNERDEAD; }
    int set_option(int, int, int, const void*, socklen_t) noexcept override { return -EOWNERDEAD; }
    int shutdown(int, int) noexcept override { return -EOWNERDEAD; }
    std::int64_t send_at_once(int, const void*, std::size_t) noexcept override {
        return -EOWNERDEAD;
    }
    std::int64_t send_message_at_once(int, const msghdr&) noexcept override { return -EOWNERDEAD; }
    std::int64_t receive_at_once(int, void*, std::size_t) noexcept override { return -EOWNERDEAD; }
    std::int64_t send_record_at_once(int, std::uint8_t, const void*,
                                     std::size_t) noexcept override {
        return -EOWNERDEAD;
    }
    std::int64_t discard_received(int, std::size_t) noexcept override { return 0; }
    int duplicate(int) noexcept override { return -EOWNERDEAD; }
    void remove_file(const char*, const FileIdentity&) noexcept override {}
    void remove_stale_socket(const char*, const sockaddr*, socklen_t) noexcept override {}

private:
    // Bytes, since both types end in an array without a size.
    alignas(io_uring_sqe) std::byte sqe_[sizeof(io_uring_sqe)] = {};
    alignas(io_uring_cqe) std::byte cqe_[sizeof(io_uring_cqe)] = {};
    unsigned sq_head_ = 0;
    unsigned sq_tail_ = 0;
    unsigned cq_head_ = 0;
    unsigned cq_tail_ = 0;
};

}  // namespace uaio
