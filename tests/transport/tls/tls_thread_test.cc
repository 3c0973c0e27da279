// Tls streams with operations of one thread, cancels of another, and an engine on a third.
#include <uaio/engine_group.h>
#include <uaio/tcp.h>

#include "tests/support/tls/ends.h"
#include "transport/stream/try_io.h"

#include <sys/ioctl.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace uaio::tls_thread_test {

// A tls connection over sockets with small buffers, each end on its own engine thread.
struct Joined {
    explicit Joined(KernelKind kind, tls::Version version = tls::Version::tls_1_3)
        : here(options_on(kind)), there(options_on(kind)) {
        tcp::ListenOptions small;
        small.stream.receive_buffer = 16384;
        auto below = std::make_unique<tcp::Listener>(there.engine(), Endpoint::loopback(0), small);
        tcp::ConnectOptions options;
        options.stream.send_buffer = 16384;
        tcp::Connector plain(below->local_endpoint(), options);
        tls::Listener listener(there.engine(), std::move(below),
                               tls::Context(server_options(version)));
        tls::Connector connector(plain, tls::Context(client_options(version)), to_localhost());
        Operation accept(there.engine());
        Operation connect(here.engine());
        listener.accept(accept.aio, server);
        connector.connect(connect.aio, client);
        REQUIRE(!connect.aio.wait());
        REQUIRE(!accept.aio.wait());
    }

    // Sends a byte after the server's tickets, so that none is in transit any more: a ticket that
    // arrives at a closed socket resets the connection, which may discard bytes that the peer has
    // not read.
    void greet() {
        std::string byte(1, '\0');
        Operation greet(there.engine(), "!");
        Operation receive(here.engine(), byte);
        server->write_all(greet.aio);
        client->read_all(receive.aio);
        REQUIRE(!greet.aio.wait());
        REQUIRE(!receive.aio.wait());
    }

    EngineThread here;
    EngineThread there;
    StreamPtr client;
    StreamPtr server;
};

// Keeps this thread busy for some microseconds, more in each round, so that its next action comes
// at a different moment; a yield would take very long on a busy machine.
void dawdle(int round) {
    std::atomic<int> steps{0};
    while (steps.fetch_add(1, std::memory_order_relaxed) < round * 4000) {
    }
}

// Unread bytes in a stream's socket.
int unread(const Stream& stream) {
    int bytes = 0;
    REQUIRE(::ioctl(stream.native_handle(), FIONREAD, &bytes) == 0);
    return bytes;
}

TEST_CASE_TEMPLATE(
    "a tls write that another thread cancels counts the bytes that the peer can read", Kernel,
    OnLinux, OnPoll) {
    const std::string out = pattern(1 << 20);
    for (int round = 0; round < 24; ++round) {
        CAPTURE(round);
        Joined ends(Kernel::kKind, round % 4 < 2 ? tls::Version::tls_1_3 : tls::Version::tls_1_2);
        ends.greet();
        // Every second round the peer reads only after the write, which a cancel alone ends.
        const bool stuck = round % 2 == 0;
        std::string in(out.size(), '\0');
        Operation read(ends.there.engine(), in);
        Operation write(ends.here.engine(), out);
        if (!stuck) ends.server->read_all(read.aio);
        ends.client->write_all(write.aio);
        std::thread([&] {
            while (stuck && unread(*ends.server) == 0)
                std::this_thread::yield();
            dawdle(round);
            write.aio.cancel();
        }).join();
        static_cast<void>(write.aio.wait());
        if (stuck) ends.server->read_all(read.aio);
        ends.client.reset();
        static_cast<void>(read.aio.wait());
        const std::size_t count = write.ended().count;
        if (write.ended().error) {
            CHECK(write.ended() == failure(Errc::canceled, count));
            // A write that had not begun leaves no trace, so the stream ends in order.
            const Ended whole = failure(Errc::end_of_stream);
            CHECK((read.ended() == failure(Errc::truncated, count) ||
                   (count == 0 && read.ended() == whole)));
        } else {
            CHECK(!stuck);
            CHECK(write.ended() == success(out.size()));
            CHECK(read.ended() == success(out.size()));
        }
        CHECK(out.compare(0, count, in, 0, count) == 0);
    }
}

TEST_CASE_TEMPLATE("a tls write cancelled over unread bytes loses no counted byte", Kernel, OnLinux,
                   OnPoll) {
    const std::string out = pattern(1 << 20);
    Joined ends(Kernel::kKind);
    std::promise<void> on_demand;
    ends.here.engine().post([&] {
        try_io_of(*ends.client)->read_on_demand();
        on_demand.set_value();
    });
    on_demand.get_future().get();
    // A receive that was in flight may have received some.
    while (unread(*ends.client) == 0) {
        Operation greet(ends.there.engine(), "!");
        ends.server->write_all(greet.aio);
        REQUIRE(!greet.aio.wait());
    }
    Operation write(ends.here.engine(), out);
    ends.client->write_all(write.aio);
    while (unread(*ends.server) == 0)
        std::this_thread::yield();
    write.aio.cancel();
    CHECK(write.aio.wait() == Errc::canceled);
    std::string in(out.size(), '\0');
    Operation read(ends.there.engine(), in);
    ends.server->read_all(read.aio);
    static_cast<void>(read.aio.wait());
    CHECK(read.ended() == failure(Errc::truncated, write.ended().count));
    CHECK(out.compare(0, read.ended().count, in, 0, read.ended().count) == 0);
}

// A pipe's count of bytes, read on its engine's thread.
std::size_t taken(Engine& engine, Pipe& pipe) {
    std::promise<std::size_t> answer;
    engine.post([&] { answer.set_value(pipe.taken().size()); });
    return answer.get_future().get();
}

TEST_CASE_TEMPLATE("no byte of a tls write that another thread cancels is sent after its callback",
                   Kernel, OnLinux, OnPoll) {
    const tls::Context server_context(server_options());
    const tls::Context client_context(client_options());
    const std::string out = pattern(300'000);
    for (std::size_t round = 0; round < 40; ++round) {
        CAPTURE(round);
        Pipe to_server;
        Pipe to_client;
        EngineThread io(options_on(Kernel::kKind));
        Engine& engine = io.engine();
        StreamPtr client;
        StreamPtr server;
        Operation connect(engine);
        Operation accept(engine);
        tls::accept(server_context, std::make_unique<PipeStream>(engine, to_server, to_client),
                    accept.aio, server);
        tls::connect(client_context, std::make_unique<PipeStream>(engine, to_client, to_server),
                     to_localhost(), connect.aio, client);
        REQUIRE(!connect.aio.wait());
        REQUIRE(!accept.aio.wait());
        // Every second round the pipe fills up during the write.
        const bool full = round % 2 == 0;
        const std::size_t limit = full ? taken(engine, to_server) + round * 997 : Pipe::kNever;
        engine.post([&] { to_server.limit(limit); });
        std::size_t at_callback = 0;
        Aio write(engine, [&](Aio&) { at_callback = to_server.taken().size(); });
        write.set_iov(out.data(), out.size());
        client->write_all(write);
        std::thread([&write, round] {
            dawdle(static_cast<int>(round));
            write.cancel();
        }).join();
        const std::error_code error = write.wait();
        CHECK((error == Errc::canceled || (!error && !full)));
        engine.post([&] { to_server.limit(Pipe::kNever); });
        std::size_t behind = at_callback;
        for (int turn = 0; turn < 5; ++turn)
            behind = taken(engine, to_server);
        if (error) CHECK(behind == at_callback);
        client.reset();
        server.reset();
    }
}

TEST_CASE_TEMPLATE("tls reads that another thread cancels lose no byte", Kernel, OnLinux, OnPoll) {
    Joined ends(Kernel::kKind);
    ends.greet();
    const std::string out = pattern(300'000);
    std::string in;
    std::string room(5000, '\0');
    Operation read(ends.here.engine(), room);
    std::atomic<unsigned> begun{0};
    std::atomic<bool> over{false};
    std::thread canceller([&] {
        while (!over.load(std::memory_order_acquire)) {
            if (begun.load(std::memory_order_acquire) % 2 == 1) read.aio.cancel();
            std::this_thread::yield();
        }
    });
    unsigned cancelled = 0;
    const auto read_once = [&] {
        read.forget();
        const unsigned number = begun.fetch_add(1, std::memory_order_acq_rel);
        const bool all = number % 3 == 0 && in.size() + room.size() <= out.size();
        all ? ends.client->read_all(read.aio) : ends.client->read(read.aio);
        static_cast<void>(read.aio.wait());
        const Ended ended = read.ended();
        cancelled += ended.error == Errc::canceled;
        if (ended.error != Errc::canceled) CHECK(ended == success(ended.count));
        CHECK(ended.calls == 1);
        in.append(room, 0, ended.count);
    };
    while (begun < 20) {
        read_once();  // nothing has arrived yet, so only a cancel ends it
        begun.fetch_add(1, std::memory_order_acq_rel);
    }
    CHECK(cancelled == 10);
    CHECK(in.empty());
    Operation write(ends.there.engine(), out);
    ends.server->write_all(write.aio);
    while (in.size() < out.size())
        read_once();
    over.store(true, std::memory_order_release);
    canceller.join();
    CHECK(!write.aio.wait());
    CHECK(in == out);
}

}  // namespace uaio::tls_thread_test
