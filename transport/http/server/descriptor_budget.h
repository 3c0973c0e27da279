// The descriptors that the servers of this process need for their own work: they accept fewer
// connections before their handlers run out. Descriptors belong to the process, and so do these
// counts. Any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace uaio::http {

class DescriptorBudget {
public:
    // Held by a handler that opens a file for a request.
    class Files {
    public:
        Files() noexcept { files_.fetch_add(1, std::memory_order_relaxed); }
        Files(const Files&) noexcept : Files() {}
        Files& operator=(const Files&) = default;
        ~Files();
    };

    // Held by a connection.
    class Connection {
    public:
        Connection() noexcept { connections_.fetch_add(1, std::memory_order_relaxed); }
        Connection(const Connection&) = delete;
        Connection& operator=(const Connection&) = delete;
        ~Connection() { connections_.fetch_sub(1, std::memory_order_relaxed); }
    };

    // True if another connection may be accepted after one with descriptor `newest`, with `spare`
    // descriptors left besides. open(2) and accept(2) return the lowest free number, so all below
    // `newest` are in use.
    static bool has_room(int newest, std::size_t spare) noexcept;

private:
    static inline std::atomic<std::size_t> files_{0};
    static inline std::atomic<std::size_t> connections_{0};
};

}  // namespace uaio::http
