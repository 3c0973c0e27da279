// Serialises the heads of messages, without the content, so that one gathered write can send both.
// No I/O. Rejects a message that our own parser would not accept, or whose end a recipient could
// not find, before writing a byte. Pure functions of their arguments; any thread.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/format/framing.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

// Source of the content.
enum class Payload {
    attached,  // the message's data(); Content-Length must be its size
    streamed,  // written later: Content-Length bytes if that is set, else chunks
};

// The content that must follow a head.
struct FollowingMessage {
    ContentFraming framing = ContentFraming::none;
    std::uint64_t length = 0;  // bytes, if `framing` is ContentFraming::length
    bool keep_alive = false;   // the connection can carry another message after this one
};

// The request that a response answers.
struct ResponseContext {
    std::string_view method = "GET";
    Version version = Version::http_1_1;
    bool keep_alive = true;      // client and server both allow it
    std::string_view date = {};  // for a Date field, if the response is final and has none
};

// Each overload replaces `head`, reusing its memory, with the request or status line, the fields
// and the empty line. Errors: ArgumentErrc::invalid_message for a message that must not be sent as
// it is, Errc::not_enough_memory; `head` is then empty.
//
// A request needs a target that is valid for its method and, in HTTP/1.1, a Host. Empty attached
// content gets a Content-Length if the method usually has content (POST, PUT, PATCH; RFC 9110 8.6).
[[nodiscard]] std::error_code write_head(const Request& request, Payload payload, std::string& head,
                                         FollowingMessage& following) noexcept;

// A response without content gets "Content-Length: 0", unless it must not have any content: 1xx,
// 204, 304, a response to HEAD, or one that accepts CONNECT. From those, write_head() omits
// Content-Length and Transfer-Encoding where they must not be sent (RFC 9110 8.6, 9.3.6), and
// rejects attached content, except in a response to HEAD, where it sends only the length. It adds
// the Connection field that corresponds to FollowingMessage::keep_alive. It sends no chunks to
// HTTP/1.0: content without a length ends with the connection.
[[nodiscard]] std::error_code write_head(const Response& response, const ResponseContext& answered,
                                         Payload payload, std::string& head,
                                         FollowingMessage& following) noexcept;

// Replaces `head` with a head that write_head() wrote without a Date, given without its empty line,
// and a Date. Error: Errc::not_enough_memory; `head` is then empty.
[[nodiscard]] std::error_code complete_head(std::string_view begun, std::string_view date,
                                            std::string& head) noexcept;

// Replaces `out` with the last chunk, the trailer section and the empty line; `first` is false
// after at least one chunk. Rejects fields that must not be in a trailer: those for framing,
// routing, authentication and the format of the content (RFC 9110 6.5.1).
[[nodiscard]] std::error_code write_trailer(const Headers& trailer, bool first,
                                            std::string& out) noexcept;

}  // namespace uaio::http
