// Writes from Engine::buffers(): which are sent from registered memory, and that all arrive.
#include <uaio/buffers.h>
#include <uaio/http.h>

#include "tests/support/connection_fixture.h"

#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::registered_write_test {

constexpr std::size_t kSize = 65536;

ConnectionFixtureOptions options_with(ZeroCopy zero_copy) {
    ConnectionFixtureOptions options;
    options.large_buffers = true;
    options.stream.zero_copy = zero_copy;
    return options;
}

iovec copy_of(const std::string& bytes, const Buffer& buffer, std::size_t offset = 0) {
    std::memcpy(buffer.data() + offset, bytes.data(), bytes.size());
    return {buffer.data() + offset, bytes.size()};
}

void write_and_check(ConnectionFixture& fixture, const std::vector<iovec>& entries,
                     const std::string& bytes) {
    Operation write(fixture.engine());
    REQUIRE(!write.aio.set_iov(entries));
    const std::size_t before = fixture.peer().received().size();
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(before + bytes.size()).substr(before) == bytes);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
}

TEST_CASE("writes whose entries lie in one arena are sent from registered memory") {
    ConnectionFixture fixture(KernelKind::io_uring, options_with(ZeroCopy::on));
    Engine& engine = fixture.engine();
    const Buffer buffer = engine.buffers().take(kSize);
    if (!engine.buffers().is_registered(buffer))
        return report_skip("the kernel registers no memory");
    const std::string bytes = pattern(kSize);
    write_and_check(fixture, {copy_of(bytes, buffer)}, bytes);
    if (engine.statistics().zero_copy_sends == 0)
        return report_skip("the kernel has no zero-copy sends");
    CHECK(engine.statistics().registered_sends == 1);

    // Several entries: from Linux 6.15 on. Older kernels send them from ordinary memory.
    const Buffer second = engine.buffers().take(kSize);
    const std::string half = bytes.substr(0, kSize / 2);
    const std::vector<iovec> list{copy_of(half, buffer), copy_of(half, second, 100)};
    write_and_check(fixture, list, half + half);
    CHECK(engine.statistics().registered_sends <= 2);

    // Two arenas, and one with other memory.
    const Buffer far = engine.buffers().take(Buffers::kLargest);
    const std::uint64_t before = engine.statistics().registered_sends;
    write_and_check(fixture, {copy_of(half, buffer), copy_of(half, far)}, half + half);
    write_and_check(fixture, {copy_of(half, buffer), {const_cast<char*>(half.data()), half.size()}},
                    half + half);
    CHECK(engine.statistics().registered_sends == before);
    CHECK(engine.statistics().zero_copy_sends >= 4);
}

TEST_CASE_TEMPLATE("writes from buffers() arrive where nothing is registered or copied", Kernel,
                   OnLinux, OnPoll, OnSim) {
    for (const ZeroCopy zero_copy : {ZeroCopy::off, ZeroCopy::on, ZeroCopy::automatic}) {
        ConnectionFixture fixture(Kernel::kKind, options_with(zero_copy));
        const Buffer buffer = fixture.engine().buffers().take(kSize);
        const std::string bytes = pattern(kSize);
        write_and_check(fixture, {copy_of(bytes, buffer)}, bytes);
        write_and_check(fixture, {copy_of("head", buffer), copy_of(bytes.substr(4), buffer, 4)},
                        "head" + bytes.substr(4));
    }
}

TEST_CASE_TEMPLATE("reads into buffers() get the bytes", Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const Buffer buffer = fixture.engine().buffers().take(4096);
    Operation read(fixture.engine());
    read.aio.set_iov(buffer.data(), 5);
    fixture.connection().read_all(read.aio);
    fixture.peer().send("hello");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(5));
    CHECK(std::string(reinterpret_cast<char*>(buffer.data()), 5) == "hello");
}

}  // namespace uaio::registered_write_test
