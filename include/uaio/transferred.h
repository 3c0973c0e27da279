// The result of a transfer, and its direction. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>

namespace uaio {

// How a transfer ended, and how many bytes it moved: exact after errors too, as Aio::count(). An
// attempt that does not wait (easy::Connection::try_send()) that failed has moved none.
struct Transferred {
    std::error_code error;
    std::size_t count = 0;
};

// A direction of a stream: for what is written, and for what is read.
enum class Direction : std::uint8_t { send, receive };

}  // namespace uaio
