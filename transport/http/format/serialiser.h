// Writes the heads of messages, free of I/O: the exact bytes, apart from the content, so that both
// can leave in one gathered write. A message that our own parser would not accept, or whose end a
// recipient could not find, is refused before a byte is written. Pure functions of their arguments;
// any thread.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/format/framing.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

// Where the content comes from.
enum class Payload {
    attached,  // the message's data(), of which Content-Length must be the size
    streamed,  // later: Content-Length bytes if that is set, else chunks
};

// What has to follow a head.
struct FollowingMessage {
    Body body = Body::none;
    std::uint64_t length = 0;  // bytes, if `body` is Body::length
    bool keep_alive = false;   // the connection can carry another message after this one
};

// What a response answers.
struct ResponseContext {
    std::string_view method = "GET";
    Version version = Version::http_1_1;
    bool keep_alive = true;      // the client's wish and the server's
    std::string_view date = {};  // for a Date field, if the response is final and has none
};

// Each replaces `head`, whose memory is used again, by the request or status line, the fields and
// the empty line. Errors: ArgumentErrc::invalid_message for a message that must not be sent as it
// is, Errc::not_enough_memory; `head` is empty then.
//
// A request needs a target that goes with its method and, in HTTP/1.1, a Host. Attached content of
// no bytes is announced where the method usually has content (POST, PUT, PATCH; RFC 9110 8.6).
std::error_code write_head(const Request& request, Payload payload, std::string& head,
                           FollowingMessage& following) noexcept;

// A response without content of its own gets "Content-Length: 0", unless it must not have any
// content: 1xx, 204, 304 and what answers HEAD or accepts CONNECT. There, Content-Length and
// Transfer-Encoding are left out where they must not be sent (RFC 9110 8.6, 9.3.6), and attached
// content is refused, except in the answer to HEAD, where only its length is sent. The Connection
// field is added that says what FollowingMessage::keep_alive does. To HTTP/1.0 nothing is sent in
// chunks: content without a length goes up to the end of the connection.
std::error_code write_head(const Response& response, const ResponseContext& answered,
                           Payload payload, std::string& head,
                           FollowingMessage& following) noexcept;

// Replaces `out` by the last chunk, the trailer and the empty line, behind at least one chunk if
// `first` is false. Refused are fields that must not be in a trailer, those on framing, routing,
// authentication and on what the content is (RFC 9110 6.5.1).
std::error_code write_trailer(const Headers& trailer, bool first, std::string& out) noexcept;

}  // namespace uaio::http
