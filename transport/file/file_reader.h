// Reads a regular file through the ring of an engine, so that a slow disk does not block the
// engine's thread. The epoll kernel has no other way than to block it (open(2), O_NONBLOCK).
// Engine's thread only.
#pragma once

#include <uaio/provider.h>

#include <cstdint>

namespace uaio {

class FileReader {
public:
    // `fd` is a regular file without O_NONBLOCK: with that flag, io_uring fails a read with EAGAIN
    // on file systems that cannot read asynchronously. It must stay open until the last read has
    // completed, and so must the FileReader.
    explicit FileReader(int fd) noexcept : fd_(fd) {}

    // Fills the buffers of `aio` with the bytes from `offset` on, continuing after short reads. One
    // read at a time. Errc::end_of_stream if the file ends first, the errors of read(2) in the
    // system category (EIO: the disk failed), and those of any operation; the first count() bytes
    // of the buffers are valid in each case.
    void read_all(Aio& aio, std::uint64_t offset) noexcept;

private:
    static void start(Aio& aio) noexcept;
    static void read_on(Aio& aio) noexcept;
    static Outcome on_read(Aio& aio, int result, unsigned flags) noexcept;

    const int fd_;
    std::uint64_t offset_ = 0;
    bool blocking_ = false;  // a non-blocking read failed: use a thread of the kernel
};

}  // namespace uaio
