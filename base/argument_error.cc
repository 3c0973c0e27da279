#include <uaio/argument_error.h>

#include "base/error_table.h"

#include <cerrno>

namespace uaio {
namespace {

constexpr ErrorMeaning kArgumentMeanings[] = {
    {ArgumentErrc::invalid_option, "invalid option",
     "An option of a constructor or an environment variable has an invalid value; what() of the "
     "exception names it and the reason.",
     EINVAL},
    {ArgumentErrc::invalid_url, "invalid URL",
     "The URL is malformed. It must be SCHEME://HOST[:PORT][/PATH] with the scheme http, https, ws "
     "or wss, for a Dialer also tcp or tls, which require a port; without user and password; with "
     "a port from 1 to 65535; and without blanks and other characters that must be "
     "percent-encoded.",
     EINVAL},
    {ArgumentErrc::invalid_endpoint, "invalid address",
     "The address is malformed. An endpoint is ADDRESS:PORT, with an IPv4 address or an IPv6 "
     "address in brackets: 127.0.0.1:80, [::1]:80; use a Resolver or a Dialer for a name. The path "
     "of a unix socket must not be empty, and may contain a NUL only if it begins with @.",
     EINVAL},
    {ArgumentErrc::invalid_method, "invalid method",
     "The method must be a token (RFC 9110 5.6.2), such as GET: not empty, without blanks and "
     "colons.",
     EINVAL},
    {ArgumentErrc::invalid_target, "invalid request target",
     "The target must consist of visible ASCII characters and must not be empty: a path with its "
     "query, such as /a?b; percent-encode all other characters.",
     EINVAL},
    {ArgumentErrc::invalid_status, "invalid status",
     "The status must be from 100 to 999; a handler of http::Server must use 200 or above, or 101 "
     "with begin().",
     EINVAL},
    {ArgumentErrc::invalid_reason, "invalid reason phrase",
     "The reason phrase must not contain control characters, including line ends.", EINVAL},
    {ArgumentErrc::invalid_header_name, "invalid header name",
     "The name of a header must be a token (RFC 9110 5.6.2), such as Content-Type: not empty, "
     "without blanks and colons.",
     EINVAL},
    {ArgumentErrc::invalid_header_value, "invalid header value",
     "The value of a header must not contain control characters, including line ends; the values "
     "of Content-Length, Transfer-Encoding, Connection and Host must have the form that RFC 9110 "
     "and RFC 9112 define.",
     EINVAL},
    {ArgumentErrc::conflicting_header, "conflicting header",
     "A message may have one Content-Length or one Transfer-Encoding, not both (RFC 9112 6.1), and "
     "one Host; erase() the other header, or use set() instead of add().",
     EINVAL},
    {ArgumentErrc::invalid_trailer, "invalid trailer",
     "A trailer must not contain a field for framing, routing or control of the message (RFC 9110 "
     "6.5.1); send the field in the head.",
     EINVAL},
    {ArgumentErrc::invalid_message, "invalid message",
     "The message is invalid. A request must have a method, a target in a form that the method "
     "allows, and one Host; CONNECT and TRACE, 1xx, 204, 205 and 304 must not have content; "
     "Content-Length must equal the length of the content; and http::Client requires the content "
     "to be attached by set_content().",
     EINVAL},
    {ArgumentErrc::wrong_message_state, "wrong message state",
     "The call is out of order. Write a message as a head, then its content of exactly the "
     "announced length, then its end, before the next head. After CONNECT or an upgrade only raw "
     "verbs work. A handler of http::Server responds once: by respond(), or by begin(), writer() "
     "and end().",
     EINVAL},
    {ArgumentErrc::wrong_engine, "wrong engine",
     "The Aio belongs to another engine than the stream or server; create it on the engine of the "
     "stream or server.",
     EINVAL},
    {ArgumentErrc::invalid_server_name, "invalid server name",
     "tls::ClientOptions::server_name, which the server's certificate must match, must be a DNS "
     "name or an address: not empty if ContextOptions::verify_name is set, without NULs and empty "
     "labels, at most 255 bytes.",
     EINVAL},
    {ArgumentErrc::no_stream, "no stream",
     "The StreamPtr is empty; connect first, wait for its completion, and pass the stream to TLS "
     "or http::Connection.",
     EINVAL},
    {ArgumentErrc::drain_in_progress, "drain in progress",
     "Another drain of the server is pending; wait for its completion.", EINVAL},
};

}  // namespace

const std::error_category& argument_category() noexcept {
    static const StaticCategory category("argument", kArgumentMeanings);
    return category.get();
}

std::error_code make_error_code(ArgumentErrc code) noexcept {
    return {static_cast<int>(code), argument_category()};
}

}  // namespace uaio
