// One direction of a simulated connection: bytes under way, and behind them bytes that have arrived
// and wait to be read. Bytes of a zero-copy send stay in the sender's memory until they are read or
// dropped, so that a sanitizer reports a buffer that was reused too early. For the kernel's thread.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <deque>
#include <span>
#include <string>

namespace uaio {

// The owner of memory that a channel uses.
class SimLender {
public:
    // The channel no longer needs this many bytes.
    virtual void give_back(std::size_t bytes) = 0;

protected:
    ~SimLender() = default;
};

class SimChannel {
public:
    explicit SimChannel(std::size_t capacity) : capacity_(capacity) {}
    SimChannel(const SimChannel&) = delete;
    SimChannel& operator=(const SimChannel&) = delete;

    void set_capacity(std::size_t capacity) noexcept { capacity_ = capacity; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t room() const noexcept { return size_ < capacity_ ? capacity_ - size_ : 0; }
    std::size_t arrived() const noexcept { return arrived_; }
    std::size_t under_way() const noexcept { return size_ - arrived_; }

    void append(std::string bytes);
    // Reads the bytes when take() takes them, not earlier.
    void append_lent(std::span<const iovec> bytes, SimLender& lender);

    // The oldest bytes under way arrive, except those dropped meanwhile.
    void arrive(std::size_t bytes) noexcept;
    // Moves up to `limit` arrived bytes to the end of `out`, or drops them if that is null.
    std::size_t take(std::size_t limit, std::string* out);
    void drop_under_way();
    void drop_all();

private:
    bool invariants_hold() const noexcept;

    struct Piece {
        std::string own;
        const char* lent = nullptr;
        SimLender* lender = nullptr;
        std::size_t begin = 0;  // bytes before it were taken
        std::size_t end = 0;
    };

    std::deque<Piece> pieces_;
    std::size_t capacity_;
    std::size_t size_ = 0;
    std::size_t arrived_ = 0;
};

}  // namespace uaio
