// Makes messages from what the parsers have read, which is known to be well-formed, and gives them
// content without touching the fields that came with it. One thread at a time.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/format/head_parser.h"

#include <cstdint>
#include <span>
#include <system_error>

namespace uaio::http {

class MessageReader {
public:
    // Copies a head into a message, whose memory is used again; it has no content then. Fields that
    // came in several lines are joined as Headers::add() does. Errc::not_enough_memory leaves the
    // message reset.
    static std::error_code read(const RequestHead& head, Request& out) noexcept;
    static std::error_code read(const ResponseHead& head, Response& out) noexcept;

    // The message's own content, to be filled with what was received. Lives as long as the message.
    static ContentBuffer& content(Message& message) noexcept;

    // Room for content that is being received, behind the `have` bytes that have come: at least one
    // byte and at most `wanted`, but no more than as many again as have come or 4 KiB. So memory
    // follows the bytes that came, and not a length that the peer announced. Empty without memory.
    static std::span<char> content_room(Message& message, std::size_t have,
                                        std::uint64_t wanted) noexcept;

    // Bytes that the message holds, in use or kept for later.
    static std::size_t capacity(const Request& request) noexcept;
    static std::size_t capacity(const Response& response) noexcept;

private:
    static void read_fields(const FieldViews& fields, Headers& out);
    static void read_odd_fields(const ResponseHead& head, Headers& out);
    static std::size_t capacity_of(const Message& message) noexcept;
};

}  // namespace uaio::http
