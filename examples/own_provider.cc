// A provider outside the library: a new operation made with the interface that the library's own
// transports use (<uaio/provider.h>). Here a channel that passes bytes from a sender to a receiver
// of the same process without an intermediate copy; the first of the two is parked. Its Aios have
// deadlines, cancels and exact counts like any other. See docs/adding_an_operation.md.
#include <uaio/engine_group.h>
#include <uaio/provider.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <string>

using namespace std::chrono_literals;

namespace {

// Verbs may be called from any thread; the rest runs on the engine's thread.
class Channel {
public:
    explicit Channel(uaio::Engine& engine) : engine_(engine) {}

    // Completes when every byte of the buffers has been received.
    void send(uaio::Aio& aio) { submit(aio, sending_); }
    // Completes when the buffers are full.
    void receive(uaio::Aio& aio) { submit(aio, receiving_); }

private:
    // Accepts the Aio; start() follows on the engine's thread with the queue as its argument.
    void submit(uaio::Aio& aio, uaio::AioQueue& queue) {
        uaio::Provider::submit(engine_, aio, &Channel::start, this, &queue);
    }

    // The check of every stream: at least one entry, no length without an address, and no more
    // bytes than a count can report. Provider does not make it, since an operation may have none.
    static bool is_valid(std::span<const iovec> list) noexcept {
        std::size_t left = std::numeric_limits<ssize_t>::max();
        for (const iovec& entry : list) {
            if (entry.iov_len > left || (!entry.iov_base && entry.iov_len > 0)) return false;
            left -= entry.iov_len;
        }
        return !list.empty();
    }

    static void start(uaio::Aio& aio) noexcept {
        if (uaio::Provider::stopped(aio)) return uaio::Provider::finish(aio, uaio::Errc::canceled);
        if (!is_valid(uaio::Provider::cursor(aio).rest())) {
            return uaio::Provider::finish(aio, uaio::Errc::invalid_argument);
        }
        if (uaio::Provider::expired(aio)) return uaio::Provider::finish(aio, uaio::Errc::timed_out);
        Channel& self = *static_cast<Channel*>(uaio::Provider::owner(aio));
        const bool sends = uaio::Provider::argument(aio) == &self.sending_;
        (sends ? self.sending_ : self.receiving_).push(aio);
        // From here on a cancel or a deadline calls the canceler.
        uaio::Provider::park(aio, sends ? &Channel::cancel<&Channel::sending_>
                                        : &Channel::cancel<&Channel::receiving_>);
        self.match();
    }

    // count() already includes the transferred bytes; only the wait ends.
    template <uaio::AioQueue Channel::*Queue>
    static void cancel(uaio::Aio& aio) noexcept {
        (static_cast<Channel*>(uaio::Provider::owner(aio))->*Queue).remove(aio);
        uaio::Provider::finish(aio, uaio::Provider::cancel_reason(aio));
    }

    void match() noexcept {
        while (!sending_.empty() && !receiving_.empty()) {
            uaio::Aio& from = *sending_.front();
            uaio::Aio& to = *receiving_.front();
            uaio::IovCursor& source = uaio::Provider::cursor(from);
            uaio::IovCursor& target = uaio::Provider::cursor(to);
            while (!source.done() && !target.done()) {
                const iovec& out = source.rest().front();
                const iovec& in = target.rest().front();
                const std::size_t size = std::min(out.iov_len, in.iov_len);
                if (size > 0) std::memcpy(in.iov_base, out.iov_base, size);
                uaio::Provider::advance(from, size);
                uaio::Provider::advance(to, size);
            }
            if (source.done()) uaio::Provider::finish(*sending_.pop());
            if (target.done()) uaio::Provider::finish(*receiving_.pop());
        }
    }

    uaio::Engine& engine_;
    uaio::AioQueue sending_;
    uaio::AioQueue receiving_;
};

}  // namespace

int main() {
    uaio::EngineThread io;
    Channel channel(io.engine());
    uaio::Aio send(io.engine());
    uaio::Aio receive(io.engine());
    std::string in(8, '.');

    const iovec out[] = {{const_cast<char*>("one, "), 5}, {const_cast<char*>("two, three"), 10}};
    if (send.set_iov(out)) return 1;
    receive.set_iov(in.data(), in.size());
    channel.send(send);
    channel.receive(receive);
    bool ok = !receive.wait() && receive.count() == 8 && in == "one, two";
    std::printf("received %zu bytes: %s\n", receive.count(), in.c_str());

    send.cancel();
    ok &= send.wait() == uaio::Errc::canceled && send.count() == 8;
    std::printf("the sender was cancelled after %zu bytes\n", send.count());
    if (send.set_iov(std::span<const iovec>())) return 1;
    channel.send(send);
    ok &= send.wait() == uaio::Errc::invalid_argument;
    receive.set_timeout(1ms);
    channel.receive(receive);
    ok &= receive.wait() == uaio::Errc::timed_out && receive.count() == 0;
    return ok ? 0 : 1;
}
