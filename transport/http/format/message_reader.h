// Builds messages from parsed heads, which are well-formed, and attaches content without changing
// the received fields. One thread at a time.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/format/head_parser.h"

#include <cstdint>
#include <span>
#include <system_error>

namespace uaio::http {

class MessageReader {
public:
    // Copies a head into a message, reusing the message's memory; the message then has no content.
    // Joins repeated fields as Headers::add() does. Errc::not_enough_memory leaves the message
    // reset.
    [[nodiscard]] static std::error_code read(const RequestHead& head, Request& out) noexcept;
    [[nodiscard]] static std::error_code read(const ResponseHead& head, Response& out) noexcept;

    // The message's own content, for the received bytes. Lives as long as the message.
    static ContentBuffer& content(Message& message) noexcept;

    // Room for received content after the `have` bytes already there: at least one byte, at most
    // `wanted`, and no more than the larger of `have` and 4 KiB. So memory grows with the bytes
    // received and not with a length that the peer announced. Empty if out of memory.
    static std::span<char> content_room(Message& message, std::size_t have,
                                        std::uint64_t wanted) noexcept;

    // Bytes that the message has allocated, in use or kept for reuse.
    static std::size_t capacity(const Request& request) noexcept {
        return capacity_of(request) + request.method_.capacity() + request.target_.capacity();
    }
    static std::size_t capacity(const Response& response) noexcept {
        return capacity_of(response) + response.reason_.capacity();
    }

private:
    static void read_fields(const FieldViews& fields, Headers& out);
    static void read_odd_fields(const ResponseHead& head, Headers& out);
    static void copy_lines(const FieldViews& fields, Headers& out);
    static std::size_t capacity_of(const Message& message) noexcept {
        const Headers& headers = message.headers_;
        return message.head_.capacity() + message.owned_.capacity() + headers.text_.capacity() +
               headers.entries_.capacity() * sizeof(Headers::Entry);
    }
};

}  // namespace uaio::http
