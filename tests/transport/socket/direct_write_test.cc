// Writes of other threads than the engine's, which they send themselves while the socket is idle:
// order, exact counts, and the ends of stream and engine meanwhile.
#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/locks.h"
#include "tests/support/threaded.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include <doctest/doctest.h>

namespace uaio::direct_write_test {

using namespace std::chrono_literals;

// Keeps the engine's thread in a task, so that whatever happens meanwhile happens without it.
class Blocked {
public:
    explicit Blocked(Engine& engine) {
        engine.post([this] {
            std::unique_lock lock(mutex_);
            began_ = true;
            changed_.notify_all();
            changed_.wait(lock, [this] { return over_; });
            ended_ = true;
            changed_.notify_all();
        });
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return began_; });
    }
    ~Blocked() { release(); }
    void release() {
        std::unique_lock lock(mutex_);
        over_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return ended_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool began_ = false, over_ = false, ended_ = false;
};

std::uint64_t direct_writes(Threaded& threaded) {
    return threaded.io.engine().statistics().direct_writes;
}

TEST_CASE_TEMPLATE("another thread writes to an idle stream without its engine", Kernel, OnLinux,
                   OnPoll) {
    Threaded threaded(Kernel::kKind);
    const std::string bytes = pattern(1000);
    Aio write(threaded.io.engine());
    const Blocked blocked(threaded.io.engine());
    REQUIRE(!write.set_iov(entries_of(bytes, 20)));
    threaded.connection->write_all(write);
    CHECK(!write.busy());
    CHECK(!write.wait());
    CHECK(write.count() == bytes.size());
    write.set_iov(bytes.data(), 10);
    threaded.connection->write(write);
    CHECK(!write.wait());
    CHECK(write.count() == 10);
    CHECK(direct_writes(threaded) == 2);
    threaded.read_until(1010, [] { return false; });
    CHECK(threaded.peer->received() == bytes + bytes.substr(0, 10));
}

TEST_CASE_TEMPLATE("a write of another thread allocates nothing and takes no lock", Kernel, OnLinux,
                   OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    if (!locks_are_counted())
        return report_skip("a sanitizer replaces the functions that count locks");
    Threaded threaded(Kernel::kKind);
    const std::string bytes = pattern(100);
    Aio write(threaded.io.engine());
    const Blocked blocked(threaded.io.engine());
    write.set_iov(bytes.data(), bytes.size());
    const std::uint64_t locks = thread_locks();
    const std::uint64_t allocations = thread_allocations();
    bool ok = true;
    for (int round = 0; round < 100; ++round) {
        threaded.connection->write_all(write);
        ok &= !write.wait() && write.count() == bytes.size();
    }
    CHECK(thread_locks() == locks);
    CHECK(thread_allocations() == allocations);
    CHECK(ok);
    CHECK(direct_writes(threaded) == 100);
}

TEST_CASE_TEMPLATE("a write of another thread with a callback goes through the engine", Kernel,
                   OnLinux, OnPoll) {
    Threaded threaded(Kernel::kKind);
    std::atomic<unsigned> here{0};
    Aio write(threaded.io.engine(), [&](Aio& done) { here += done.engine().on_engine_thread(); });
    write.set_iov("abc", 3);
    for (unsigned round = 1; round <= 10; ++round) {
        threaded.connection->write_all(write);
        REQUIRE(!write.wait());
        CHECK(write.count() == 3);
        CHECK(here == round);
    }
    CHECK(direct_writes(threaded) == 0);
}

// The engine gets the rest of the first write, and those behind it, when it runs again.
TEST_CASE_TEMPLATE("what does not fit leaves later, in order, and is counted exactly", Kernel,
                   OnLinux, OnPoll) {
    Threaded threaded(Kernel::kKind);
    const std::string bytes = pattern(30'000);
    std::vector<std::unique_ptr<Aio>> writes;
    {
        const Blocked blocked(threaded.io.engine());
        bool is_full = false;
        for (int behind = 0; behind < 3; behind += is_full) {
            writes.push_back(std::make_unique<Aio>(threaded.io.engine()));
            writes.back()->set_iov(bytes.data(), bytes.size());
            threaded.connection->write_all(*writes.back());
            is_full = is_full || writes.back()->busy();
        }
        CHECK(direct_writes(threaded) == writes.size() - 3);
    }
    threaded.read_until(writes.size() * bytes.size(), [] { return false; });
    for (const auto& write : writes) {
        CHECK(!write->wait());
        CHECK(write->count() == bytes.size());
    }
    const std::string& got = threaded.peer->received();
    REQUIRE(got.size() == writes.size() * bytes.size());
    for (std::size_t at = 0; at < got.size(); at += bytes.size())
        CHECK(got.compare(at, bytes.size(), bytes) == 0);
    // Idle again.
    const std::uint64_t before = direct_writes(threaded);
    threaded.connection->write_all(*writes.front());
    CHECK(!writes.front()->wait());
    CHECK(direct_writes(threaded) == before + 1);
}

TEST_CASE_TEMPLATE("a write whose rest waits in the engine can be cancelled or expire", Kernel,
                   OnLinux, OnPoll) {
    for (const bool expires : {false, true}) {
        Threaded threaded(Kernel::kKind);
        const std::string bytes = pattern(30'000);
        std::size_t sent = 0;
        Aio write(threaded.io.engine());
        write.set_iov(bytes.data(), bytes.size());
        {
            const Blocked blocked(threaded.io.engine());
            do {
                if (expires) write.set_deadline(Clock::now() + kPatience);
                threaded.connection->write_all(write);
                if (!write.busy()) sent += write.count();
            } while (!write.busy());
            if (!expires) write.cancel();
        }
        // A deadline of a running operation cannot change; the engine ends it as a cancel does.
        if (expires) write.abort(Errc::timed_out);
        CHECK(write.wait() == (expires ? Errc::timed_out : Errc::canceled));
        threaded.connection->close();
        threaded.read_until(RawPeer::kEverything, [] { return false; });
        CHECK(threaded.peer->received().size() == sent + write.count());
    }
}

TEST_CASE_TEMPLATE("a direct write ends with the errors of any write", Kernel, OnLinux, OnPoll) {
    Threaded threaded(Kernel::kKind);
    Aio write(threaded.io.engine());
    CHECK(!write.set_iov({}));
    threaded.connection->write_all(write);
    CHECK(write.wait() == Errc::invalid_argument);
    write.set_iov(nullptr, 5);
    threaded.connection->write_all(write);
    CHECK(write.wait() == Errc::invalid_argument);
    write.set_iov("abc", 0);
    threaded.connection->write_all(write);
    CHECK(!write.wait());
    write.set_iov("abc", 3);
    write.set_timeout(0ns);
    threaded.connection->write_all(write);
    CHECK(write.wait() == Errc::timed_out);
    write.set_timeout(kNoTimeout);
    write.set_deadline(Clock::now() - 1s);
    threaded.connection->write_all(write);
    CHECK(write.wait() == Errc::timed_out);
    CHECK(direct_writes(threaded) == 0);
    threaded.peer->reset();
    const Clock::time_point limit = Clock::now() + kPatience;
    do {
        REQUIRE(Clock::now() < limit);
        threaded.connection->write_all(write);
    } while (!write.wait());
    CHECK(write.result() == Errc::connection_reset);
    CHECK(write.count() == 0);
    write.stop();
    threaded.connection->write_all(write);
    CHECK(write.wait() == Errc::canceled);
    Aio after(threaded.io.engine());
    after.set_iov("abc", 3);
    threaded.connection->close();
    threaded.connection->write_all(after);
    CHECK(after.wait() == Errc::closed);
}

// Records of a size, a writer and a number; writers are threads and a chain of the engine.
class Records {
public:
    static std::string record(unsigned writer, unsigned number) {
        std::string text(8 + (writer * 31 + number * 17) % 600, static_cast<char>('a' + writer));
        text[0] = static_cast<char>(writer);
        std::memcpy(text.data() + 1, &number, sizeof number);
        text[5] = static_cast<char>(text.size() % 256);
        text[6] = static_cast<char>(text.size() / 256);
        return text;
    }
    // True if `bytes` consists of whole records, those of each writer in order and `count` of them.
    static bool are_whole(const std::string& bytes, unsigned writers, unsigned count) {
        std::vector<unsigned> next(writers, 0);
        for (std::size_t at = 0; at < bytes.size();) {
            const auto writer = static_cast<unsigned char>(bytes[at]);
            if (writer >= writers) return false;
            const std::string expected = record(writer, next[writer]++);
            if (bytes.compare(at, expected.size(), expected) != 0) return false;
            at += expected.size();
        }
        return std::ranges::all_of(next, [count](unsigned got) { return got == count; });
    }
};

TEST_CASE_TEMPLATE("records of threads and of the engine stay whole and in order", Kernel, OnLinux,
                   OnPoll) {
    const unsigned records = kSanitized ? 200 : 1000;
    Threaded threaded(Kernel::kKind);
    Engine& engine = threaded.io.engine();
    http::Connection& connection = *threaded.connection;
    std::size_t total = 0;
    for (unsigned writer = 0; writer <= kThreads; ++writer) {
        for (unsigned i = 0; i < records; ++i)
            total += Records::record(writer, i).size();
    }
    // The engine's own writes: each begins in the callback of the one before.
    std::string own;
    unsigned number = 0;
    std::optional<Aio> chain;
    chain.emplace(engine, [&](Aio& aio) {
        if (aio.result() || number == records) return;
        own = Records::record(kThreads, number++);
        aio.set_iov(own.data(), own.size());
        connection.write_all(aio);
    });
    std::atomic<unsigned> failures{0};
    std::thread writers([&] {
        on_threads([&](unsigned thread) {
            // Waits for some, and leaves others behind each other, with a callback or without.
            std::vector<std::string> texts(4);
            std::vector<std::unique_ptr<Aio>> aios;
            for (unsigned i = 0; i < 4; ++i) {
                aios.push_back(i % 2 ? std::make_unique<Aio>(engine, [](Aio&) {})
                                     : std::make_unique<Aio>(engine));
            }
            for (unsigned i = 0; i < records; ++i) {
                Aio& aio = *aios[i % 4];
                if (aio.wait()) ++failures;
                texts[i % 4] = Records::record(thread, i);
                aio.set_iov(texts[i % 4].data(), texts[i % 4].size());
                connection.write_all(aio);
                if (thread % 2 && (aio.wait() || aio.count() != texts[i % 4].size())) ++failures;
            }
            for (const auto& aio : aios)
                if (aio->wait()) ++failures;
        });
    });
    engine.post([&] {
        own = Records::record(kThreads, number++);
        chain->set_iov(own.data(), own.size());
        connection.write_all(*chain);
    });
    threaded.read_until(total, [] { return false; });
    writers.join();
    CHECK(!chain->wait());
    CHECK(failures == 0);
    CHECK(Records::are_whole(threaded.peer->received(), kThreads + 1, records));
}

// The engine must not close a descriptor that another thread is sending on: its number would name
// another connection.
TEST_CASE_TEMPLATE("a close while threads write ends each write once and touches no other file",
                   Kernel, OnLinux, OnPoll) {
    for (int round = 0; round < (kSanitized ? 30 : 100); ++round) {
        Threaded threaded(Kernel::kKind);
        Engine& engine = threaded.io.engine();
        std::atomic<std::size_t> counted{0};
        std::atomic<unsigned> failures{0};
        std::atomic<unsigned> running{kThreads};
        std::thread writers([&] {
            on_threads([&](unsigned thread) {
                Aio aio(engine);
                for (int i = 0; i < 200; ++i) {
                    aio.set_iov("0123456789", 10);
                    threaded.connection->write_all(aio);
                    if (thread == 0 && i == round) threaded.connection->close();
                    const std::error_code error = aio.wait();
                    counted += aio.count();
                    if (error && error != Errc::closed) ++failures;
                    if (!error && aio.count() != 10) ++failures;
                    if (error == Errc::closed) break;
                }
                --running;
            });
        });
        threaded.read_until(RawPeer::kEverything, [] { return false; });
        writers.join();
        CHECK(running == 0);
        CHECK(failures == 0);
        CHECK(threaded.peer->received().size() == counted);
    }
}

TEST_CASE_TEMPLATE("an engine that stops while threads write ends every write", Kernel, OnLinux,
                   OnPoll) {
    for (int round = 0; round < (kSanitized ? 10 : 40); ++round) {
        Threaded threaded(Kernel::kKind);
        Engine& engine = threaded.io.engine();
        std::atomic<unsigned> failures{0}, started{0};
        std::thread writers([&] {
            on_threads([&](unsigned) {
                Aio aio(engine);
                std::error_code error;
                while (!error) {
                    aio.set_iov("0123456789", 10);
                    threaded.connection->write_all(aio);
                    error = aio.wait();
                    ++started;
                }
                if (error != Errc::closed && error != Errc::canceled) ++failures;
            });
        });
        threaded.read_until(1000, [] { return false; });
        engine.stop();
        threaded.read_until(RawPeer::kEverything, [] { return false; });
        writers.join();
        CHECK(failures == 0);
        CHECK(started >= kThreads);
    }
}

}  // namespace uaio::direct_write_test
