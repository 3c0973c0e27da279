// co_await over the verbs: buffers, values, timeouts, stop tokens, and its cost.
#include <uaio/await.h>
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::await_test {

using namespace std::chrono_literals;

// Both ends of a connection, on one engine.
struct Pair {
    explicit Pair(Engine& engine) {
        tcp::Listener listener(engine, Endpoint::loopback(0));
        Aio accepted(engine);
        Aio connected(engine);
        listener.accept(accepted, near);
        tcp::connect(listener.local_endpoint(), {}, connected, far);
        REQUIRE(!connected.wait());
        REQUIRE(!accepted.wait());
    }

    StreamPtr near;
    StreamPtr far;
};

TEST_CASE_TEMPLATE("an awaited transfer returns its error and its count", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Pair pair(engine);
    const auto exchange = [](Stream& near, Stream& far) -> Task<std::string> {
        std::string in(10, '.');
        const auto [error, count] = co_await write_all(near, "hello");
        CHECK(!error);
        CHECK(count == 5);
        Transferred moved = co_await read(far, in);
        CHECK(!moved.error);
        CHECK(moved.count == 5);
        moved = co_await write(far, std::string("and back"));
        CHECK(!moved.error);
        CHECK(moved.count == 8);
        moved = co_await read_all(near, in, {.timeout = 10ms});
        CHECK(moved.error == Errc::timed_out);
        CHECK(moved.count == 8);
        near.close();
        moved = co_await read(far, in);
        CHECK(moved.error == Errc::end_of_stream);
        CHECK(moved.count == 0);
        moved = co_await write_all(near, "too late");
        CHECK(moved.error == Errc::closed);
        co_return in;
    };
    CHECK(sync_wait(engine, exchange(*pair.near, *pair.far)) == "and back..");
}

TEST_CASE("read and write accept iovec lists, byte ranges of any type and text") {
    Engine engine(options_on(KernelKind::epoll));
    Pair pair(engine);
    const auto exchange = [](http::Connection& near, Stream& far) -> Task<std::string> {
        const std::array<std::byte, 2> bytes{std::byte{'a'}, std::byte{'b'}};
        const std::vector<unsigned char> vector{'c', 'd'};
        const iovec entries[] = {{const_cast<char*>("ef"), 2}, {const_cast<char*>("gh"), 2}};
        const std::vector<iovec> more(entries, entries + 2);
        co_await write_all(near, bytes);
        co_await write_all(near, vector);
        co_await write_all(near, std::string_view("!x").substr(0, 1));
        co_await write_all(near, entries);
        co_await write_all(near, more);
        co_await write_all(near, std::span(more).first(1));
        co_await write_all(near, WriteBuffers("xyz", 3));
        char first[4];
        std::array<std::byte, 4> second;
        std::string third(5, ' ');
        std::vector<iovec> split{{third.data(), 2}, {third.data() + 2, 3}};
        char last[5];
        co_await read_all(far, first);
        co_await read_all(far, std::span(second));
        co_await read_all(far, split);
        co_await read_all(far, ReadBuffers(last, sizeof last));
        co_return std::string(first, 4) + std::string(reinterpret_cast<char*>(second.data()), 4) +
            third + std::string(last, 5);
    };
    http::Connection near(std::move(pair.near));
    CHECK(sync_wait(engine, exchange(near, *pair.far)) == "abcd!efghefghefxyz");
}

std::size_t size_of(const WriteBuffers& buffers) {
    REQUIRE(buffers.entries().size() == 1);
    return buffers.entries()[0].iov_len;
}

TEST_CASE("a const array of char is text that ends with the array at the latest") {
    struct {
        const char full[4] = {'a', 'b', 'c', 'd'};
        const char neighbour[4] = "xyz";
    } const text;
    CHECK(size_of(text.full) == 4);
    CHECK(size_of(text.neighbour) == 3);
    CHECK(size_of("ab\0cd") == 2);
    const char* const pointer = "hello";
    CHECK(size_of(pointer) == 5);
    std::string changeable = "hey";
    CHECK(size_of(changeable.data()) == 3);
    // An array that may be changed does not say how much of it is filled.
    static_assert(!std::is_convertible_v<char(&)[4], WriteBuffers>);
    char buffer[4] = {'a', 'b', 'c', 'd'};
    CHECK(size_of(std::span(buffer).first(2)) == 2);
    CHECK(ReadBuffers(buffer).entries()[0].iov_len == 4);
}

TEST_CASE("a timeout and a deadline apply to the operation that they are passed to") {
    Engine engine(options_on(KernelKind::epoll));
    Pair pair(engine);
    const auto exchange = [](Stream& near, Stream& far) -> Task<> {
        char in[4];
        Transferred moved = co_await write_all(near, "none", {.timeout = 0ns});
        CHECK(moved.error == Errc::timed_out);
        CHECK(moved.count == 0);
        moved = co_await write_all(near, "none", {.deadline = Clock::now() - 1s});
        CHECK(moved.error == Errc::timed_out);
        moved = co_await read(far, in, {.timeout = 1h, .deadline = Clock::now() + 1ms});
        CHECK(moved.error == Errc::timed_out);
        moved = co_await read(far, in, {.timeout = 1ms});
        CHECK(moved.error == Errc::timed_out);
        moved = co_await write_all(near, "some");
        CHECK(!moved.error);
        moved = co_await read_all(far, in);
        CHECK(!moved.error);
        CHECK(std::string_view(in, 4) == "some");
    };
    sync_wait(engine, exchange(*pair.near, *pair.far));
}

TEST_CASE("an iovec list that is too long is refused, and the task continues") {
    Engine engine(options_on(KernelKind::epoll));
    Pair pair(engine);
    const auto exchange = [](Stream& near, Stream& far) -> Task<> {
        const std::vector<iovec> many(IovCursor::kMaxEntries + 1);
        const AwaitOptions options{.timeout = 0ns, .deadline = Clock::now()};
        Transferred moved = co_await write_all(near, many, options);
        CHECK(moved.error == Errc::invalid_argument);
        CHECK(moved.count == 0);
        moved = co_await write_all(near, std::span<const iovec>());
        CHECK(moved.error == Errc::invalid_argument);
        moved = co_await write_all(near, "fits");
        CHECK(!moved.error);
        char in[4];
        moved = co_await read_all(far, in);
        CHECK(moved.count == 4);
    };
    sync_wait(engine, exchange(*pair.near, *pair.far));
}

class LocalConnector final : public Connector {
public:
    explicit LocalConnector(std::string path) : path_(std::move(path)) {}
    void connect(Aio& aio, StreamPtr& out) override { local::connect(path_, {}, aio, out); }

private:
    std::string path_;
};

Task<> serve(Acceptor& acceptor) {
    for (;;) {
        StreamPtr stream;
        const std::error_code error = co_await accept(acceptor, stream, {.timeout = kPatience});
        if (error == Errc::closed) co_return;
        REQUIRE(!error);
        co_await write_all(*stream, "served");
    }
}

struct OverTcp {
    Endpoint endpoint;
    tcp::ConnectOptions options = {};

    auto operator()(StreamPtr& out) const { return connect(endpoint, options, out); }
};

struct OverUnix {
    std::string path;
    local::ConnectOptions options = {};

    auto operator()(StreamPtr& out) const { return connect(path, options, out); }
};

struct ByConnector {
    Connector& connector;

    auto operator()(StreamPtr& out) const { return connect(connector, out); }
};

template <class Connecting>
Task<std::string> fetch(Connecting connecting) {
    StreamPtr stream;
    const std::error_code error = co_await connecting(stream);
    if (error) co_return error.message();
    std::string in(6, ' ');
    const Transferred moved = co_await read_all(*stream, in, {.timeout = kPatience});
    CHECK(!moved.error);
    co_return in;
}

TEST_CASE_TEMPLATE("a task awaits connect and accept over tcp and unix", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const std::string path = fresh_abstract_name();
    tcp::Listener over_tcp(engine, Endpoint::loopback(0));
    local::Listener over_unix(engine, path);
    const Endpoint endpoint = over_tcp.local_endpoint();
    LocalConnector connector(path);
    int ended = 0;
    spawn(engine, serve(over_tcp), [&](TaskResult<void>) { ++ended; });
    spawn(engine, serve(over_unix), [&](TaskResult<void>) { ++ended; });

    CHECK(sync_wait(engine, fetch(OverTcp{endpoint})) == "served");
    CHECK(sync_wait(engine, fetch(OverUnix{path})) == "served");
    CHECK(sync_wait(engine, fetch(ByConnector{connector})) == "served");

    over_tcp.close();
    over_unix.close();
    while (ended < 2)
        engine.run_once(kPatience);
    const std::error_code refused(ECONNREFUSED, std::system_category());
    CHECK(sync_wait(engine, fetch(OverTcp{endpoint})) == refused.message());
}

TEST_CASE("operation() awaits any verb that takes an Aio") {
    Engine engine(options_on(KernelKind::epoll));
    Pair pair(engine);
    const auto exchange = [](Stream& near, Stream& far) -> Task<std::size_t> {
        const Transferred moved = co_await operation([&near](Aio& aio) {
            aio.set_iov("verb", 4);
            near.write_all(aio);
        });
        CHECK(!moved.error);
        char in[8];
        co_return (co_await read(far, in)).count + moved.count;
    };
    CHECK(sync_wait(engine, exchange(*pair.near, *pair.far)) == 8);
}

TEST_CASE("a delay lasts its duration, on a simulated clock in virtual time") {
    SimKernel kernel(1);
    Engine engine(kernel);
    const auto wait = [](std::chrono::nanoseconds time) -> Task<std::error_code> {
        co_return co_await delay(time);
    };
    const Clock::time_point began = engine.now();
    CHECK(!sync_wait(engine, wait(0ns)));
    CHECK(!sync_wait(engine, wait(24h)));
    CHECK(engine.now() - began >= 24h);
    CHECK(engine.now() - began < 25h);
}

// ---- Stop tokens ----

TEST_CASE_TEMPLATE("a stop request from any thread cancels the awaited operation", Kernel, OnLinux,
                   OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    Pair pair(io.engine());
    const auto receive = [](Stream& stream, std::stop_token stop) -> Task<std::error_code> {
        char in[4];
        const Transferred moved = co_await read(stream, in, {}, stop);
        CHECK(moved.count == 0);
        co_return moved.error;
    };
    std::stop_source source;
    std::jthread other([&source] { source.request_stop(); });
    CHECK(sync_wait(io.engine(), receive(*pair.near, source.get_token())) == Errc::canceled);
    CHECK(sync_wait(io.engine(), receive(*pair.near, source.get_token())) == Errc::canceled);
}

TEST_CASE_TEMPLATE(
    "a write that starts after a stop request sends nothing and leaves the stream usable", Kernel,
    OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Pair pair(engine);
    const auto exchange = [](Stream& near, Stream& far) -> Task<std::string> {
        std::stop_source source;
        source.request_stop();
        Transferred moved = co_await write_all(near, "never", {}, source.get_token());
        CHECK(moved.error == Errc::canceled);
        CHECK(moved.count == 0);
        CHECK(co_await delay(1h, source.get_token()) == Errc::canceled);
        CHECK(co_await delay(0ns, source.get_token()) == Errc::canceled);
        bool submitted = false;
        moved = co_await operation([&](Aio&) { submitted = true; }, {}, source.get_token());
        CHECK(moved.error == Errc::canceled);
        CHECK(!submitted);
        moved = co_await write_all(near, "this", {}, std::stop_source().get_token());
        CHECK(!moved.error);
        std::string in(9, ' ');
        moved = co_await read(far, in);
        co_return in.substr(0, moved.count);
    };
    CHECK(sync_wait(engine, exchange(*pair.near, *pair.far)) == "this");
}

TEST_CASE("the stop token of a task cancels the awaited operation and every later one") {
    EngineThread io(options_on(KernelKind::automatic));
    Pair pair(io.engine());
    const auto inner = [](Stream& stream) -> Task<std::error_code> {
        char in[4];
        co_return (co_await read(stream, in)).error;
    };
    const auto outer = [inner](Stream& near) -> Task<int> {
        int canceled = 0;
        canceled += co_await inner(near) == Errc::canceled;
        canceled += (co_await write_all(near, "never")).error == Errc::canceled;
        canceled += co_await delay(1h) == Errc::canceled;
        co_return canceled;
    };
    std::stop_source source;
    std::jthread other([&source] { source.request_stop(); });
    CHECK(sync_wait(io.engine(), outer(*pair.near), source.get_token()) == 3);
    CHECK(sync_wait(io.engine(), outer(*pair.near), source.get_token()) == 3);
}

// Awaits `rounds` reads, each of which another thread may stop at any moment, even after it has
// ended.
Task<int> stopped_often(Stream& stream, std::array<std::stop_source, 64>& sources,
                        std::atomic<unsigned>& turn) {
    int ended = 0;
    for (std::stop_source& source : sources) {
        char in[4];
        turn.fetch_add(1, std::memory_order_release);
        const AwaitOptions soon{.timeout = 100us};
        const Transferred moved = co_await read(stream, in, soon, source.get_token());
        ended += moved.error == Errc::canceled || moved.error == Errc::timed_out;
    }
    co_return ended;
}

TEST_CASE("stop requests may race with the end of operations and tasks") {
    EngineThread io(options_on(KernelKind::automatic));
    Pair pair(io.engine());
    for (int round = 0; round < 20; ++round) {
        std::array<std::stop_source, 64> sources;
        std::stop_source whole;
        std::atomic<unsigned> turn{0};
        std::jthread other([&] {
            for (unsigned i = 0; i < sources.size(); ++i) {
                while (turn.load(std::memory_order_acquire) <= i)
                    std::this_thread::yield();
                sources[i].request_stop();
            }
            whole.request_stop();
        });
        Task<int> task = stopped_often(*pair.near, sources, turn);
        CHECK(sync_wait(io.engine(), std::move(task), whole.get_token()) == 64);
    }
}

// ---- Cost ----

// Echoes `rounds` messages between both ends and counts the allocations.
Task<std::uint64_t> echo(Stream& near, Stream& far, int messages, std::stop_token stop) {
    std::string out(64, 'o');
    std::string in(64, ' ');
    const std::vector<iovec> entries = entries_of(out, 32);
    const std::uint64_t before = thread_allocations();
    for (int i = 0; i < messages; ++i) {
        Transferred moved = co_await write_all(near, entries, {.timeout = kPatience}, stop);
        if (moved.count == 64) moved = co_await read_all(far, in, {.timeout = kPatience});
        if (moved.count == 64) moved = co_await write_all(far, in, {}, stop);
        if (moved.count == 64) moved = co_await read_all(near, in);
        if (moved.error) throw std::system_error(moved.error);
        co_await delay(0ns, stop);
    }
    co_return thread_allocations() - before;
}

TEST_CASE_TEMPLATE("awaiting an operation allocates nothing", Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(Kernel::kKind));
    Pair pair(engine);
    const std::stop_source source;
    // The first iovec list beyond an Aio's inline entries allocates once, and the Aio keeps it.
    sync_wait(engine, echo(*pair.near, *pair.far, 10, source.get_token()));
    CHECK(sync_wait(engine, echo(*pair.near, *pair.far, 100, source.get_token())) ==
          (kInlineIov < 32 ? 1 : 0));
}

TEST_CASE("tasks that several threads wait for share one engine") {
    EngineThread io(options_on(KernelKind::automatic));
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&io] {
            Pair pair(io.engine());
            const std::stop_source source;
            Task<std::uint64_t> task = echo(*pair.near, *pair.far, 200, source.get_token());
            CHECK_NOTHROW(sync_wait(io.engine(), std::move(task)));
        });
    }
}

}  // namespace uaio::await_test
