// Reads of a file through the ring: counts, ends and errors, on each kernel.
#include "transport/file/file_reader.h"

#include "tests/support/allocations.h"
#include "tests/support/file_scene.h"
#include "tests/support/one_shot.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace uaio::file_reader_test {

using namespace std::chrono_literals;

// A file of pattern(), and an engine that reads it.
class Reading {
public:
    Reading(KernelKind kind, std::size_t size, const Faults& faults = {}, std::uint64_t seed = 1)
        : folder_(size), fd_(::open(folder_.at("changing").c_str(), O_RDONLY | O_CLOEXEC)) {
        REQUIRE(fd_ >= 0);
        if (kind == OnSim::kKind) kernel_.emplace(seed, faults);
        kernel_ ? engine_.emplace(*kernel_) : engine_.emplace(options_on(kind));
    }
    ~Reading() { ::close(fd_); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    Engine& engine() { return *engine_; }
    SimKernel& kernel() { return *kernel_; }
    int fd() const { return fd_; }
    const std::string& content() const { return folder_.content; }
    Ended read(std::string& into, std::uint64_t offset) {
        Operation read(*engine_, into);
        FileReader reader(fd_);
        reader.read_all(read.aio, offset);
        return wait_for(read);
    }
    Ended wait_for(Operation& operation) {
        REQUIRE(run_until(*engine_, [&] { return operation.done(); }));
        return operation.ended();
    }

private:
    ChangingFile folder_;
    const int fd_;
    std::optional<SimKernel> kernel_;
    std::optional<Engine> engine_;
};

TEST_CASE_TEMPLATE("a read of a file ends with closed when its engine ends", Kernel, OnLinux,
                   OnPoll) {
    // An empty pipe, since no kernel cancels the read of a file that it has begun.
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    FileReader reader(ends[0]);
    std::string in(10, '\0');
    Ended ended;
    {
        Engine engine(options_on(Kernel::kKind));
        Aio& read = one_shot(engine, ended);
        read.set_iov(in.data(), in.size());
        reader.read_all(read, 0);
        engine.run_once(0ns);
    }
    CHECK(ended == failure(Errc::closed));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE_TEMPLATE("a file is read from any offset into any iovec list", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Reading reading(Kernel::kKind, 1000);
    std::string first(10, '\0');
    std::string second(300, '\0');
    for (const std::uint64_t offset : {0, 1, 690}) {
        const std::array<iovec, 4> entries{{{first.data(), 0},
                                            {first.data(), first.size()},
                                            {nullptr, 0},
                                            {second.data(), second.size()}}};
        Operation read(reading.engine());
        REQUIRE(!read.aio.set_iov(entries));
        FileReader reader(reading.fd());
        reader.read_all(read.aio, offset);
        CHECK(reading.wait_for(read) == success(310));
        CHECK(first + second == reading.content().substr(offset, 310));
    }
    std::string none;
    CHECK(reading.read(none, 5) == success(0));
}

TEST_CASE_TEMPLATE("a read beyond the end of a file returns the bytes before the end", Kernel,
                   OnLinux, OnPoll, OnSim) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{99}}) {
        Reading reading(Kernel::kKind, size);
        std::string into(100, '\0');
        CHECK(reading.read(into, 0) == failure(Errc::end_of_stream, size));
        CHECK(into.starts_with(reading.content()));
        CHECK(reading.read(into, 1000) == failure(Errc::end_of_stream, 0));
    }
}

TEST_CASE_TEMPLATE("a read of a file that fails ends with the error of the kernel", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Reading reading(Kernel::kKind, 10);
    std::string into(10, '\0');
    Operation read(reading.engine(), into);
    const int folder = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FileReader reader(folder);
    reader.read_all(read.aio, 0);
    CHECK(reading.wait_for(read).error == std::errc::is_a_directory);
    ::close(folder);
    Operation without(reading.engine());
    reader.read_all(without.aio, 0);
    CHECK(reading.wait_for(without) == failure(Errc::invalid_argument));
    Operation stopped(reading.engine(), into);
    stopped.aio.stop();
    reader.read_all(stopped.aio, 0);
    CHECK(reading.wait_for(stopped) == failure(Errc::canceled));
    Operation late(reading.engine(), into);
    late.aio.set_timeout(0ns);
    reader.read_all(late.aio, 0);
    CHECK(reading.wait_for(late) == failure(Errc::timed_out));
}

TEST_CASE("a read that would block is repeated once, and then ends") {
    Reading reading(OnSim::kKind, 10);
    std::string into(10, '\0');
    reading.kernel().script_error(SimCall::read, EAGAIN);
    CHECK(reading.read(into, 0) == success(10));
    reading.kernel().script_error(SimCall::read, EAGAIN);
    reading.kernel().script_error(SimCall::read, EAGAIN);
    CHECK(reading.read(into, 0).error == std::errc::resource_unavailable_try_again);
    reading.kernel().script_error(SimCall::read, EIO);
    CHECK(reading.read(into, 0).error == std::errc::io_error);
    CHECK(reading.read(into, 0) == success(10));
}

TEST_CASE("a read of a file is continued after short reads, and its count is exact when it ends") {
    int expired = 0;
    int canceled = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Reading reading(OnSim::kKind, 500,
                        {.short_read = 500,
                         .interrupted_operation = 200,
                         .late_cancel = 300,
                         .latency_max = 1ms},
                        seed);
        std::string into(400, '\0');
        Operation read(reading.engine(), into);
        FileReader reader(reading.fd());
        if (seed % 3 == 1) read.aio.set_timeout(2ms);
        reader.read_all(read.aio, 100);
        if (seed % 3 == 2) {
            for (std::uint64_t turn = 0; turn < seed % 7; ++turn)
                reading.engine().run_once(100us);
            read.aio.cancel();
        }
        const Ended ended = reading.wait_for(read);
        CHECK(ended.calls == 1);
        CHECK((ended.count == 400) == !ended.error);
        CHECK(into.substr(0, ended.count) == reading.content().substr(100, ended.count));
        if (ended.error) {
            CHECK(ended.error == (seed % 3 == 1 ? Errc::timed_out : Errc::canceled));
        }
        expired += ended.error == Errc::timed_out;
        canceled += ended.error == Errc::canceled;
    }
    CHECK(expired > 3);
    CHECK(canceled > 3);
}

TEST_CASE_TEMPLATE("a read of a file allocates nothing", Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Reading reading(Kernel::kKind, 100000);
    std::string into(100000, '\0');
    CHECK(reading.read(into, 0) == success(into.size()));
    FileReader reader(reading.fd());
    Operation read(reading.engine(), into);
    const std::uint64_t before = thread_allocations();
    reader.read_all(read.aio, 0);
    for (int turn = 0; turn < 1000 && !read.done(); ++turn)
        reading.engine().run_once(1ms);
    CHECK(thread_allocations() == before);
    CHECK(read.ended() == success(into.size()));
}

}  // namespace uaio::file_reader_test
