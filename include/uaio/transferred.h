// The result of a transfer, and its direction. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>

namespace uaio {

// The error of a transfer, and the bytes it moved: exact after errors too, as Aio::count(). 0 if an
// attempt that does not wait (easy::Connection::try_send()) failed.
struct Transferred {
    std::error_code error;
    std::size_t count = 0;
};

// A direction of a stream: send for writes, receive for reads.
enum class Direction : std::uint8_t { send, receive };

}  // namespace uaio
