#include <uaio/config.h>

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>

#include <doctest/doctest.h>

TEST_CASE("memory guard: the kernel cannot write into a released buffer") {
    REQUIRE(uaio::kMemoryGuard);
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    REQUIRE(write(ends[1], "bytes", 5) == 5);

    auto buffer = std::make_unique<std::array<std::byte, 512>>();
    const iovec target{buffer->data(), buffer->size()};
    buffer.reset();
    const ssize_t result = readv(ends[0], &target, 1);
    const int error = errno;
    CHECK(result == -1);
    CHECK(error == EFAULT);

    close(ends[0]);
    close(ends[1]);
}
