// Two ends of a tcp connection for tests of closing: one sends more than the other reads, and the
// other closes. For the thread of their engine.
#pragma once

#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/turns.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include <doctest/doctest.h>

namespace uaio {

struct ClosingEnds {
    StreamPtr sending;
    StreamPtr closing;

    static ClosingEnds make(Engine& engine) {
        ClosingEnds ends;
        tcp::Listener listener(engine, Endpoint::loopback(0));
        Operation accept(engine), connect(engine);
        listener.accept(accept.aio, ends.closing);
        tcp::connect(listener.local_endpoint(), {}, connect.aio, ends.sending);
        REQUIRE(!connect.aio.wait());
        REQUIRE(!accept.aio.wait());
        return ends;
    }
};

// Sends, past the stream, until the other end's window and this end's buffer are full.
inline void fill_window(Engine& engine, const Stream& sending) {
    const std::string bytes(64 * 1024, 'x');
    for (int empty = 0; empty < 20;) {
        const ssize_t sent = ::send(sending.native_handle(), bytes.data(), bytes.size(),
                                    MSG_DONTWAIT | MSG_NOSIGNAL);
        empty = sent > 0 ? 0 : empty + 1;
        engine.run_once(std::chrono::milliseconds(1));
    }
}

// While `sending` waits for window space.
inline void check_that_closing_resets(Engine& engine, ClosingEnds ends) {
    const std::string bytes(16 << 20, 'x');
    Operation write(engine, bytes);
    ends.sending->write_all(write.aio);
    const int fd = ends.closing->native_handle();
    int arrived = 0;
    int before = -1;
    for (int same = 0; same < 20; before = arrived) {
        engine.run_once(std::chrono::milliseconds(1));
        REQUIRE(::ioctl(fd, FIONREAD, &arrived) == 0);
        same = arrived == before ? same + 1 : 0;
    }
    REQUIRE(!write.done());
    ends.closing.reset();
    REQUIRE(run_until(engine, [&] { return write.done(); }));
    CHECK(write.ended().error == Errc::connection_reset);
    CHECK(write.ended().count < bytes.size());
}

}  // namespace uaio
