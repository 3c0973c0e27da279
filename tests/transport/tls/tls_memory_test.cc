// Tls without memory: each allocation fails once, which fails the operation that needed it, and
// nothing else.
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/raw_peer.h"
#include "tests/support/tls/openssl_access.h"
#include "tests/support/tls/secured.h"

#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

namespace uaio::tls_memory_test {

using namespace std::chrono_literals;
using tls::Version;
using Which = FailingAllocations;

// Two contexts that store nothing about a connection.
struct Contexts {
    explicit Contexts(Version version) : server(server_options(version)) {
        tls::ContextOptions options = client_options(version);
        options.resume = false;
        client = tls::Context(options);
    }
    tls::Context client;
    tls::Context server;
};

// Both ends of a connection, over pipes with preallocated memory.
struct RoomyEnds : TlsEnds {
    explicit RoomyEnds(const Contexts& contexts) : TlsEnds(contexts.client, contexts.server) {
        to_server().reserve(256 * 1024);
        to_client().reserve(256 * 1024);
        run_some();
    }
};

// Whether an operation may end like this without memory on one of the two sides. OpenSSL reports
// other errors than memory when it lacks that, and its alert gives the other side no details.
bool is_plausible(const Ended& ended) {
    const std::error_code error = ended.error;
    return ended.calls == 1 &&
           (!error || error == Errc::not_enough_memory || error == Errc::truncated ||
            error == Errc::closed || error == Errc::connection_reset ||
            error.category() == make_error_code(TlsErrc::flood).category());
}

// Calls `run` for each of its allocations, and fails that one; `run` returns whether it failed.
// OpenSSL may keep some of its memory for later, but a bounded amount.
void fail_each(const std::function<bool(std::uint64_t others)>& run) {
    static_cast<void>(run(1'000'000));  // makes the allocations of a process's lifetime
    static_cast<void>(run(1'000'000));
    static_cast<void>(run(0));  // also those of the first exception
    end_openssl_thread();
    const std::int64_t blocks = live_allocations();
    bool failed = true;
    for (std::uint64_t others = 0; failed; ++others) {
        CAPTURE(others);
        failed = run(others);
    }
    end_openssl_thread();
    CHECK(live_allocations() == blocks);
}

// Checks how the operations of a run ended: plausibly, and, if OpenSSL has its memory, with the one
// possible error; and with success, if nothing `lacked`. Counts those that lacked memory.
void check_ends(std::initializer_list<const Operation*> operations, bool lacked, Which which,
                unsigned& refused) {
    bool failed = false;
    unsigned named = 0;
    for (const Operation* const operation : operations) {
        const Ended ended = operation->ended();
        CAPTURE(ended);
        CHECK(is_plausible(ended));
        failed |= static_cast<bool>(ended.error);
        named += ended.error == Errc::not_enough_memory;
    }
    if (!lacked) CHECK(!failed);
    if (which == Which::without_openssl) CHECK(failed == (named > 0));
    refused += named;
}

// A handshake that lacks one allocation; false if it makes no more than `others`. Counts the ends
// for lack of memory.
bool shake_hands_without(std::uint64_t others, Which which, const Contexts& contexts,
                         unsigned& refused) {
    RoomyEnds ends(contexts);
    StreamPtr to_server = ends.client_below();
    StreamPtr to_client = ends.server_below();
    const tls::ClientOptions options = to_localhost();
    Operation& connect = ends.connecting();
    Operation& accept = ends.accepting();
    fail_allocation_behind(others, which);
    tls::connect(contexts.client, std::move(to_server), options, connect.aio, ends.client_handle());
    tls::accept(contexts.server, std::move(to_client), accept.aio, ends.server_handle());
    for (int turn = 0; turn < 20; ++turn)
        ends.engine().run_once(0ns);
    const bool failed = stop_failing();
    REQUIRE(ends.run_until([&] { return connect.done() && accept.done(); }));
    check_ends({&connect, &accept}, failed, which, refused);
    CHECK(static_cast<bool>(ends.client_handle()) == !connect.ended().error);
    CHECK(static_cast<bool>(ends.server_handle()) == !accept.ended().error);
    return failed;
}

TEST_CASE(
    "a tls handshake in which any one allocation fails, OpenSSL's included, ends once on each "
    "side") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        const Contexts contexts(version);
        unsigned refused = 0;
        fail_each([&](std::uint64_t others) {
            return shake_hands_without(others, Which::all, contexts, refused);
        });
        CHECK(refused > 100);
    }
}

TEST_CASE(
    "a tls handshake in which an allocation of the library fails ends with not_enough_memory") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        const Contexts contexts(version);
        unsigned refused = 0;
        fail_each([&](std::uint64_t others) {
            return shake_hands_without(others, Which::without_openssl, contexts, refused);
        });
        CHECK(refused > 4);
    }
}

// Bytes both ways while one allocation fails.
bool transfer_without(std::uint64_t others, Which which, const Contexts& contexts,
                      unsigned& refused) {
    RoomyEnds ends(contexts);
    ends.joined();
    ends.run_some();
    const std::string data = pattern(100'000);
    std::string in(data.size(), '\0');
    std::string back(8, '\0');
    Operation write(ends.engine(), data);
    Operation answer(ends.engine(), "answered");
    Operation read(ends.engine(), in);
    Operation read_back(ends.engine(), back);
    fail_allocation_behind(others, which);
    ends.client().write_all(write.aio);
    ends.server().read_all(read.aio);
    ends.server().write_all(answer.aio);
    ends.client().read(read_back.aio);
    for (int turn = 0; turn < 20; ++turn)
        ends.engine().run_once(0ns);
    const bool failed = stop_failing();
    REQUIRE(ends.run_until(
        [&] { return write.done() && answer.done() && read.done() && read_back.done(); }));
    check_ends({&write, &answer, &read, &read_back}, failed, which, refused);
    CHECK(data.starts_with(std::string_view(in).substr(0, read.ended().count)));
    CHECK(read.ended().count <= write.ended().count);
    if (!write.ended().error) CHECK(write.ended().count == data.size());
    if (!read.ended().error) CHECK(in == data);
    if (!read_back.ended().error) CHECK(back == "answered");
    return failed;
}

TEST_CASE("tls reads and writes in which any one allocation fails end once with exact counts") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        for (const Which which : {Which::all, Which::without_openssl}) {
            const Contexts contexts(version);
            unsigned refused = 0;
            fail_each([&](std::uint64_t others) {
                return transfer_without(others, which, contexts, refused);
            });
            CHECK(refused > 0);
        }
    }
}

// An attempt without one allocation; false if it makes no more than `others`.
bool attempt_without(std::uint64_t others, KernelKind kind, bool sends, unsigned& refused) {
    Secured ends(kind);
    const std::string bytes = pattern(20'000);
    std::string room(bytes.size(), '\0');
    if (!sends) {
        ends.serve(std::string_view(bytes).substr(0, 4000));
        REQUIRE(ends.wait_for(Direction::receive) == success(0));
    }
    fail_allocation_behind(others, Which::all);
    const Transferred result =
        sends ? ends.connection->try_send(std::as_bytes(std::span(bytes)))
              : ends.connection->try_receive(std::as_writable_bytes(std::span(room)));
    const bool failed = stop_failing();
    CAPTURE(result);
    CHECK(is_plausible({1, result.error, result.count}));
    if (result.error) {
        CHECK(result.count == 0);
        CHECK(ends.try_send("more") == result);  // permanently
        refused += result.error == Errc::not_enough_memory;
    } else if (sends) {
        CHECK(ends.served(result.count) == bytes.substr(0, result.count));
    } else {
        CHECK(room.substr(0, result.count) == bytes.substr(0, result.count));
    }
    return failed;
}

TEST_CASE_TEMPLATE(
    "easy tls: an attempt in which an allocation fails returns an error, and so do all later ones",
    Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    for (const bool sends : {true, false}) {
        unsigned refused = 0;
        fail_each([&](std::uint64_t others) {
            return attempt_without(others, Kernel::kKind, sends, refused);
        });
        if (sends) CHECK(refused > 0);
    }
}

// A tls listener that lacks one allocation when a connection arrives; false if it makes no more
// than `others`. Counts the connections that it dropped.
bool accept_without(std::uint64_t others, KernelKind kind, unsigned& reported) {
    Engine engine(options_on(kind));
    std::vector<std::error_code> failures;
    failures.reserve(4);
    tls::ContextOptions options = server_options(Version::tls_1_3);
    options.on_failure = [&](std::error_code error) { failures.push_back(error); };
    auto below = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    const Endpoint place = below->local_endpoint();
    tls::Listener listener(engine, std::move(below), tls::Context(options));
    StreamPtr stream;
    Operation accept(engine);
    listener.accept(accept.aio, stream);
    engine.run_once(0ns);
    RawPeer client = RawPeer::connect_tcp(place);
    client.send("\x16");  // a handshake begins with the first byte
    fail_allocation_behind(others, Which::without_openssl);
    for (int turn = 0; turn < 20; ++turn)
        engine.run_once(0ns);
    const bool failed = stop_failing();
    CHECK(failures.size() + (accept.done() ? 1 : 0) == (failed ? 1 : 0));
    for (const std::error_code error : failures)
        CHECK(error == Errc::not_enough_memory);
    if (accept.done()) CHECK(accept.ended() == failure(Errc::not_enough_memory));
    reported += static_cast<unsigned>(failures.size());
    return failed;
}

TEST_CASE_TEMPLATE("a tls listener reports a connection whose allocation fails", Kernel, OnLinux,
                   OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    unsigned reported = 0;
    fail_each(
        [&](std::uint64_t others) { return accept_without(others, Kernel::kKind, reported); });
    CHECK(reported > 0);
}

}  // namespace uaio::tls_memory_test
