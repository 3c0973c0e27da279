// The demo's file: a real one on disk, pseudo-random and unlinked at creation, so that nothing
// remains however the demo ends. One thread makes it, any thread may read it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace uaio::demo {

[[noreturn]] inline void throw_errno(const std::string& what) {
    throw std::system_error(errno, std::system_category(), what);
}

// Sebastiano Vigna's splitmix64: a good generator with one word of state.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t word = state_ += 0x9e3779b97f4a7c15;
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
        word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
        return word ^ (word >> 31);
    }

private:
    std::uint64_t state_;
};

class File {
public:
    // Creates it in TMPDIR, or /tmp. Throws std::system_error, for instance if the disk is full.
    explicit File(std::size_t size) : size_(size) {
        const char* const folder = std::getenv("TMPDIR");
        std::string path = std::string(folder && *folder ? folder : "/tmp") + "/uaio-demo-XXXXXX";
        fd_ = ::mkostemp(path.data(), O_CLOEXEC);
        if (fd_ < 0) throw_errno("making " + path);
        ::unlink(path.c_str());
        fill();
        void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_, 0);
        if (mapped == MAP_FAILED) throw_errno("mapping the file");
        data_ = static_cast<const std::byte*>(mapped);
    }
    ~File() {
        ::munmap(const_cast<std::byte*>(data_), size_);
        ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

    // Returns the descriptor at position 0, for a child process; the position is shared.
    int rewound() const noexcept {
        ::lseek(fd_, 0, SEEK_SET);
        return fd_;
    }

private:
    void fill() {
        std::vector<std::uint64_t> block(std::size_t{1} << 17);
        Random random(size_);
        for (std::size_t left = size_; left > 0;) {
            for (std::uint64_t& word : block)
                word = random.next();
            const std::size_t size = std::min(left, block.size() * sizeof block[0]);
            const ssize_t written = ::write(fd_, block.data(), size);
            if (written <= 0) throw_errno("writing the file (is the disk full? set TMPDIR)");
            left -= static_cast<std::size_t>(written);
        }
    }

    const std::size_t size_;
    int fd_ = -1;
    const std::byte* data_ = nullptr;
};

}  // namespace uaio::demo
