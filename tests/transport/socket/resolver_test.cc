// Names to addresses. The tests supply the lookups, which wait on request; only the lookup of a
// name that must not exist may reach a name server.
#include <uaio/engine_group.h>
#include <uaio/resolver.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/turns.h"

#include <condition_variable>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <set>

#include <doctest/doctest.h>

namespace uaio::resolver_test {

using namespace std::chrono_literals;

const Endpoint kSome = Endpoint::loopback(0);

// The threads of this process.
std::ptrdiff_t count_threads() {
    using Folder = std::filesystem::directory_iterator;
    return std::distance(Folder("/proc/self/task"), Folder());
}

// A lookup that waits for open(), and counts calls.
class Gate {
public:
    Lookup lookup() {
        return [this](const std::string&, AddressFamily, std::vector<Endpoint>& out) {
            std::unique_lock lock(mutex_);
            ++begun_;
            changed_.notify_all();
            changed_.wait(lock, [this] { return open_; });
            out.push_back(kSome);
            ++ended_;
            changed_.notify_all();
            return std::error_code();
        };
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void wait_for_begun(unsigned lookups) { wait_for(begun_, lookups); }
    void wait_for_ended(unsigned lookups) { wait_for(ended_, lookups); }
    unsigned begun() {
        const std::lock_guard lock(mutex_);
        return begun_;
    }

private:
    void wait_for(const unsigned& count, unsigned least) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, kPatience, [&] { return count >= least; }));
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    unsigned begun_ = 0;
    unsigned ended_ = 0;
    bool open_ = false;
};

struct Asked {
    explicit Asked(Engine& engine) : operation(engine) {}
    void start(Resolver& resolver, std::string_view name, std::uint16_t port = 80,
               AddressFamily family = AddressFamily::any) {
        resolver.resolve(name, port, family, operation.aio, found);
        operation.aio.engine().run_once(0ns);
    }
    Ended end() {
        static_cast<void>(operation.aio.wait());
        return operation.ended();
    }
    std::vector<Endpoint> found;
    Operation operation;
};

Ended ask(Engine& engine, Resolver& resolver, std::string_view name, std::vector<Endpoint>& found,
          AddressFamily family = AddressFamily::any) {
    Asked asked(engine);
    asked.start(resolver, name, 80, family);
    const Ended ended = asked.end();
    found = asked.found;
    return ended;
}

TEST_CASE("numeric addresses and the names of the loopback need no lookup") {
    Engine engine;
    Resolver resolver({.lookup = [](const std::string&, AddressFamily, std::vector<Endpoint>&) {
        return make_error_code(ResolveErrc::failed);
    }});
    std::vector<Endpoint> found;
    const std::vector<Endpoint> v4 = {Endpoint::loopback(80)};
    const std::vector<Endpoint> v6 = {Endpoint::loopback6(80)};
    const std::vector<Endpoint> both = {v6[0], v4[0]};
    CHECK(ask(engine, resolver, "127.0.0.1", found) == success(0));
    CHECK(found == v4);
    for (const char* name : {"::1", "[::1]"}) {
        CHECK(ask(engine, resolver, name, found) == success(0));
        CHECK(found == v6);
    }
    for (const char* name : {"localhost", "LocalHost", "localhost.", "a.b.localhost"}) {
        CHECK(ask(engine, resolver, name, found) == success(0));
        CHECK(found == both);
    }
    CHECK(ask(engine, resolver, "localhost", found, AddressFamily::v4) == success(0));
    CHECK(found == v4);
    CHECK(ask(engine, resolver, "127.0.0.1", found, AddressFamily::v6) ==
          failure(ResolveErrc::no_address));
    CHECK(ask(engine, resolver, "notlocalhost", found) == failure(ResolveErrc::failed));
}

TEST_CASE("an invalid name is refused without a lookup") {
    Engine engine;
    Gate gate;
    Resolver resolver({.lookup = gate.lookup()});
    std::vector<Endpoint> found;
    for (const std::string& name : {std::string(), std::string("a b"), std::string("a\0b", 3),
                                    std::string(254, 'a'), std::string("a\n")}) {
        CHECK(ask(engine, resolver, name, found) == failure(ResolveErrc::bad_name));
    }
    CHECK(gate.begun() == 0);
    CHECK(strerror(ResolveErrc::bad_name).find("253") != std::string::npos);
}

TEST_CASE("getaddrinfo does not find a reserved name") {
    Engine engine;
    Resolver resolver;
    std::vector<Endpoint> found;
    const Ended ended = ask(engine, resolver, "no-such.invalid", found);  // RFC 6761 6.4
    CHECK(ended.calls == 1);
    CHECK(ended.error.category() == resolve_category());
    // Without a name server the lookup cannot know.
    CHECK((ended.error == ResolveErrc::name_not_found || ended.error == ResolveErrc::try_again));
    CHECK(found.empty());
}

TEST_CASE("the engine runs during a lookup") {
    Engine engine;
    Gate gate;
    Resolver resolver({.lookup = gate.lookup()});
    Asked asked(engine);
    asked.start(resolver, "slow.test", 81);
    gate.wait_for_begun(1);
    unsigned done = 0;
    Aio other(engine, [&done](Aio&) { ++done; });
    std::vector<Endpoint> found;
    for (unsigned i = 1; i <= 1000; ++i) {
        resolver.resolve("127.0.0.1", 1, AddressFamily::any, other, found);
        REQUIRE(!other.wait());
        REQUIRE(done == i);
    }
    CHECK(asked.operation.ended() == kPending);
    gate.open();
    CHECK(asked.end() == success(0));
    CHECK(asked.found == std::vector<Endpoint>{kSome.with_port(81)});
}

TEST_CASE("concurrent requests for one name share a lookup") {
    Engine engine;
    Gate gate;
    Resolver resolver({.lookup = gate.lookup()});
    Asked first(engine), second(engine), third(engine);
    first.start(resolver, "one.test", 1);
    second.start(resolver, "one.test", 2);
    third.start(resolver, "two.test", 3);
    gate.wait_for_begun(2);
    gate.open();
    CHECK(first.end() == success(0));
    CHECK(second.end() == success(0));
    CHECK(third.end() == success(0));
    CHECK(first.found[0].port() == 1);
    CHECK(second.found[0].port() == 2);
    CHECK(gate.begun() == 2);
}

TEST_CASE("a resolver caches addresses for cache_time, and no failures") {
    unsigned lookups = 0;
    const ResolverOptions options{
        .threads = 0,
        .cache_time = 60s,
        .cache_entries = 2,
        .lookup = [&](const std::string& name, AddressFamily, std::vector<Endpoint>& out) {
            ++lookups;
            out.push_back(kSome);
            return name == "bad.test" ? make_error_code(ResolveErrc::try_again) : std::error_code();
        }};
    SimKernel kernel(1);
    Engine engine(kernel);
    Resolver resolver(options);
    std::vector<Endpoint> found;
    const auto looked_up = [&](const char* name, AddressFamily family = AddressFamily::any) {
        const unsigned before = lookups;
        const Ended ended = ask(engine, resolver, name, found, family);
        CHECK(ended.calls == 1);
        return lookups - before;
    };
    CHECK(looked_up("a.test") == 1);
    CHECK(looked_up("a.test") == 0);
    CHECK(looked_up("a.test", AddressFamily::v4) == 1);
    kernel.advance(59s);
    CHECK(looked_up("a.test") == 0);
    kernel.advance(1s);
    CHECK(looked_up("a.test") == 1);
    CHECK(looked_up("b.test") == 1);
    CHECK(looked_up("c.test") == 1);  // evicts the oldest
    CHECK(looked_up("a.test") == 1);
    CHECK(looked_up("bad.test") == 1);
    CHECK(looked_up("bad.test") == 1);  // failures are not cached
    CHECK(looked_up("a.test") == 0);
    resolver.clear_cache();
    CHECK(looked_up("a.test") == 1);
}

TEST_CASE("repeated addresses of a user's lookup are found once") {
    const ResolverOptions options{
        .threads = 0, .lookup = [](const std::string&, AddressFamily, std::vector<Endpoint>& out) {
            out = {kSome, Endpoint::loopback6(0), kSome, kSome.with_port(9),
                   Endpoint::loopback6(0)};
            return std::error_code();
        }};
    SimKernel kernel(1);
    Engine engine(kernel);
    Resolver resolver(options);
    std::vector<Endpoint> found;
    CHECK(ask(engine, resolver, "a.test", found) == success(0));
    CHECK(found == std::vector<Endpoint>{kSome.with_port(80), Endpoint::loopback6(80)});
}

TEST_CASE_TEMPLATE("a request ends by a cancel or a deadline while its lookup runs", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Gate gate;
    Resolver resolver({.threads = 1, .lookup = gate.lookup()});
    Asked cancelled(engine), expired(engine), queued(engine), stays(engine), late(engine);
    cancelled.start(resolver, "a.test");
    expired.operation.aio.set_timeout(10ms);
    expired.start(resolver, "a.test");
    stays.start(resolver, "a.test");
    gate.wait_for_begun(1);
    queued.start(resolver, "b.test");  // waits for the only thread
    late.operation.aio.set_timeout(0ns);
    late.start(resolver, "a.test");
    cancelled.operation.aio.cancel();
    queued.operation.aio.cancel();
    CHECK(cancelled.end() == failure(Errc::canceled));
    CHECK(queued.end() == failure(Errc::canceled));
    CHECK(expired.end() == failure(Errc::timed_out));
    CHECK(late.end() == failure(Errc::timed_out));
    CHECK(stays.operation.ended() == kPending);
    gate.open();
    CHECK(stays.end() == success(0));
    CHECK((cancelled.found.empty() && expired.found.empty() && queued.found.empty()));
    CHECK(gate.begun() == 1);
    CHECK(engine.statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("abandoned lookups do not delay others while spare threads are left", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Gate gate;
    const Lookup hang = gate.lookup();
    Resolver resolver({.threads = 2,
                       .spare_threads = 3,
                       .lookup = [&hang](const std::string& name, AddressFamily family,
                                         std::vector<Endpoint>& out) {
                           if (name.starts_with("hangs")) return hang(name, family, out);
                           out.push_back(kSome);
                           return std::error_code();
                       }});
    unsigned hanging = 0;
    std::vector<Endpoint> found;
    // One of the threads is free at first, and then each spare one replaces another.
    for (; hanging < 4; ++hanging) {
        Asked asked(engine);
        asked.start(resolver, "hangs-" + std::to_string(hanging));
        gate.wait_for_begun(hanging + 1);
        asked.operation.aio.cancel();
        CHECK(asked.end() == failure(Errc::canceled));
        CHECK(ask(engine, resolver, "name-" + std::to_string(hanging), found) == success(0));
    }
    // The number of spare threads is bounded.
    Asked last(engine);
    last.start(resolver, "hangs-last");
    gate.wait_for_begun(5);
    last.operation.aio.cancel();
    CHECK(last.end() == failure(Errc::canceled));
    const std::ptrdiff_t threads = count_threads();
    Asked waits(engine);
    waits.start(resolver, "name-last");
    CHECK(waits.operation.ended() == kPending);
    CHECK(count_threads() <= threads);  // those of earlier lookups may still be exiting
    gate.open();
    CHECK(waits.end() == success(0));
    gate.wait_for_ended(5);
}

TEST_CASE("a cancel that races with the result of a lookup ends the request once") {
    EngineThread io;
    Resolver resolver({.cache_time = 0ns,
                       .lookup = [](const std::string&, AddressFamily, std::vector<Endpoint>& out) {
                           out.push_back(kSome);
                           return std::error_code();
                       }});
    int canceled = 0;
    for (int round = 0; round < 500; ++round) {
        Asked asked(io.engine());
        resolver.resolve("a.test", 80, AddressFamily::any, asked.operation.aio, asked.found);
        if (round % 2) std::this_thread::yield();
        asked.operation.aio.cancel();
        const Ended ended = asked.end();
        CHECK(ended.calls == 1);
        CHECK((!ended.error || ended.error == Errc::canceled));
        CHECK(asked.found.empty() == static_cast<bool>(ended.error));
        canceled += static_cast<bool>(ended.error);
    }
    CHECK(canceled > 0);
}

TEST_CASE("the destructor of a resolver ends pending requests and does not wait for lookups") {
    Engine engine;
    Gate gate;
    Asked asked(engine), queued(engine);
    {
        Resolver resolver({.threads = 1, .lookup = gate.lookup()});
        asked.start(resolver, "a.test");
        gate.wait_for_begun(1);
        queued.start(resolver, "b.test");
    }
    CHECK(asked.end() == failure(Errc::closed));
    CHECK(queued.end() == failure(Errc::closed));
    gate.open();
    gate.wait_for_ended(1);
}

TEST_CASE("the destructor of an engine ends pending requests") {
    Gate gate;
    Resolver resolver({.lookup = gate.lookup()});
    std::error_code result;
    {
        std::vector<Endpoint> found;
        std::optional<Engine> engine(std::in_place);
        // It must be destroyed before its engine.
        auto* const aio = new Aio(*engine, [&result](Aio& done) {
            result = done.result();
            delete &done;
        });
        resolver.resolve("a.test", 80, AddressFamily::any, *aio, found);
        engine->run_once(0ns);
        gate.wait_for_begun(1);
        engine.reset();
    }
    CHECK(result == Errc::closed);
    gate.open();
    gate.wait_for_ended(1);
}

TEST_CASE("every resolve error has a name and a sentence of its own") {
    std::set<std::string> seen;
    const int last = static_cast<int>(ResolveErrc::bad_rule);
    for (int code = 1; code <= last; ++code) {
        const std::error_code error(code, resolve_category());
        seen.insert(error.message());
        seen.insert(strerror(error));
        CHECK(strerror(error).size() > 30);
    }
    CHECK(seen.size() == 2u * static_cast<unsigned>(last));
    CHECK(std::error_code(99, resolve_category()).message() == "unknown error 99");
}

TEST_CASE("an exception of a lookup is reported as a failed allocation") {
    Engine engine;
    Resolver resolver(
        {.lookup = [](const std::string&, AddressFamily,
                      std::vector<Endpoint>&) -> std::error_code { throw std::bad_alloc(); }});
    std::vector<Endpoint> found;
    CHECK(ask(engine, resolver, "a.test", found) == failure(Errc::not_enough_memory));
}

}  // namespace uaio::resolver_test
