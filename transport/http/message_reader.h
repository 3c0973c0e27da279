// Makes messages from what the parsers have read, which is known to be well-formed, and gives them
// content without touching the fields that came with it. One thread at a time.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/head_parser.h"

#include <string>
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
    static std::string& content(Message& message) noexcept;

private:
    static void read_fields(const FieldViews& fields, Headers& out);
    static void read_odd_fields(const ResponseHead& head, Headers& out);
};

}  // namespace uaio::http
