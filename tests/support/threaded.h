// For tests of several threads: an engine on a thread of its own, with a connection whose peer the
// test drives.
#pragma once

#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"

#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace uaio {

inline constexpr unsigned kThreads = 8;

template <class F>
void on_threads(F payload) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i)
        threads.emplace_back(payload, i);
    for (std::thread& thread : threads)
        thread.join();
}

struct Threaded {
    explicit Threaded(KernelKind kind) : io(options_on(kind)) {
        tcp::Listener listener(io.engine(), Endpoint::loopback(0));
        StreamPtr stream;
        Aio accept(io.engine());
        listener.accept(accept, stream);
        peer.emplace(RawPeer::connect_tcp(listener.local_endpoint()));
        REQUIRE(!accept.wait());
        connection.emplace(std::move(stream));
    }

    // Reads until `total` bytes have arrived, the stream has ended, or `done`.
    void read_until(std::size_t total, const std::function<bool()>& done) {
        const Clock::time_point limit = Clock::now() + kPatience;
        while (peer->received().size() < total && peer->end() == RawPeer::End::open && !done()) {
            REQUIRE(Clock::now() < limit);
            if (peer->read_some() == 0) std::this_thread::yield();
        }
    }

    EngineThread io;
    std::optional<RawPeer> peer;
    std::optional<http::Connection> connection;
};

}  // namespace uaio
