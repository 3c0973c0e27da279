// The ways in which an operation ends early: the error gives the reason, and count() the exact
// number of bytes transferred.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include <chrono>
#include <cstdio>
#include <vector>

using namespace std::chrono_literals;

namespace {

void report(const char* what, const uaio::Aio& aio) {
    std::printf("%-28s %zu bytes. %s\n", what, aio.count(), uaio::strerror(aio.result()).c_str());
}

// Reads to the end of the stream; returns the number of bytes.
std::size_t drain(uaio::Stream& stream, uaio::Aio& aio) {
    std::vector<char> buffer(1 << 20);
    aio.set_iov(buffer.data(), buffer.size());
    std::size_t total = 0;
    for (;;) {
        stream.read(aio);
        if (aio.wait()) return total;
        total += aio.count();
    }
}

}  // namespace

int main() {
    uaio::EngineThread io;
    uaio::tcp::Listener listener(io.engine(), uaio::Endpoint::loopback(0));
    uaio::StreamPtr accepted;
    uaio::StreamPtr far;
    uaio::Aio aio(io.engine());
    uaio::Aio other(io.engine());
    listener.accept(other, accepted);
    uaio::tcp::connect(listener.local_endpoint(), {}, aio, far);
    if (aio.wait() || other.wait()) return 1;
    uaio::http::Connection near(std::move(accepted));

    // A read without an answer. Reads that end early do not affect the connection.
    char buffer[16];
    aio.set_iov(buffer, sizeof buffer);
    aio.set_timeout(20ms);
    near.read(aio);
    bool ok = aio.wait() == uaio::Errc::timed_out && aio.count() == 0;
    report("a read, 20 ms", aio);

    // A read_all that receives half its bytes: they are in the buffer and in count().
    other.set_iov("half way", 8);
    far->write_all(other);
    near.read_all(aio);
    ok &= aio.wait() == uaio::Errc::timed_out && aio.count() == 8 && !other.wait();
    report("a read_all, 20 ms", aio);

    // With a timeout of 0 nothing is sent, and the connection remains usable.
    aio.set_timeout(0s);
    near.write_all(aio);
    ok &= aio.wait() == uaio::Errc::timed_out && aio.count() == 0;
    report("a write_all, no time", aio);

    // More than socket buffers hold, to a peer that does not read, cancelled from this thread. Some
    // of it was sent, so the connection is closed: the peer would take later bytes for the rest.
    std::vector<char> much(64 << 20, 'x');
    aio.set_iov(much.data(), much.size());
    aio.set_timeout(uaio::kNoTimeout);
    near.write_all(aio);
    other.set_iov(buffer, sizeof buffer);
    far->read_all(other);
    ok &= !other.wait();  // part of the write has been sent
    aio.cancel();         // a request: only the kernel knows the exact count
    ok &= aio.wait() == uaio::Errc::canceled && aio.count() < much.size();
    report("a write_all, cancelled", aio);
    const std::size_t arrived = sizeof buffer + drain(*far, other);
    std::printf("%-28s %zu bytes\n", "    its peer received", arrived);
    ok &= arrived == aio.count();

    near.write_all(aio);
    ok &= aio.wait() == uaio::Errc::closed;
    report("another one after that", aio);

    // stop() is a permanent cancel: for an Aio whose owner is being destroyed.
    other.stop();
    far->read(other);
    ok &= other.wait() == uaio::Errc::canceled;
    report("a read after stop()", other);
    return ok ? 0 : 1;
}
