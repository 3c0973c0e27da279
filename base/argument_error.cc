#include <uaio/argument_error.h>

#include "base/error_table.h"

#include <cerrno>

namespace uaio {
namespace {

constexpr ErrorMeaning kMeanings[] = {
    {ArgumentErrc::invalid_option, "invalid option",
     "An option of a constructor, or a variable of the environment, has a value that it "
     "cannot have; what() of the exception says which, and why.",
     EINVAL},
    {ArgumentErrc::invalid_url, "invalid URL",
     "A URL is SCHEME://HOST[:PORT][/PATH]: http, https, ws or wss, for a Dialer also tcp and tls, "
     "which need a port; a host without a user and a password before it; a port from 1 to 65535; "
     "and no blank or other character that has to be percent-encoded.",
     EINVAL},
    {ArgumentErrc::invalid_endpoint, "invalid address",
     "The path of a unix socket is empty, or has a NUL and no @ as its first character; or an "
     "endpoint is not written ADDRESS:PORT, with an IPv4 address or an IPv6 address in brackets: "
     "127.0.0.1:80, [::1]:80; names are for a Resolver or a Dialer.",
     EINVAL},
    {ArgumentErrc::invalid_method, "invalid method",
     "Request::set_method() takes a token (RFC 9110 5.6.2), such as GET: no blank, no colon, not "
     "empty.",
     EINVAL},
    {ArgumentErrc::invalid_target, "invalid request target",
     "Request::set_target() takes visible ASCII alone, not empty: a path with its query, such as "
     "/a?b; percent-encode what is neither.",
     EINVAL},
    {ArgumentErrc::invalid_status, "invalid status",
     "The status of a response is a number from 100 to 999; that of a response which a handler of "
     "http::Server sends is 200 or above, or 101 by begin().",
     EINVAL},
    {ArgumentErrc::invalid_reason, "invalid reason phrase",
     "Response::set_reason() takes text without control characters, line ends included.", EINVAL},
    {ArgumentErrc::invalid_header_name, "invalid header name",
     "The name of a header is a token (RFC 9110 5.6.2), such as Content-Type: not empty, no blank "
     "and no colon.",
     EINVAL},
    {ArgumentErrc::invalid_header_value, "invalid header value",
     "The value of a header holds no control characters, line ends included; of Content-Length, "
     "Transfer-Encoding, Connection and Host it has the form that RFC 9110 and RFC 9112 give "
     "them.",
     EINVAL},
    {ArgumentErrc::conflicting_header, "conflicting header",
     "A message has one Content-Length or one Transfer-Encoding, and not both (RFC 9112 6.1), and "
     "one Host; erase() the other, or set() it instead of add().",
     EINVAL},
    {ArgumentErrc::invalid_trailer, "invalid trailer",
     "A trailer must not hold a field that frames or routes the message, or that controls its "
     "use (RFC 9110 6.5.1); send it in the head.",
     EINVAL},
    {ArgumentErrc::invalid_message, "invalid message",
     "The message must not be sent as it is. A request needs a method, a target in a form for that "
     "method, and one Host; CONNECT and TRACE, 1xx, 204, 205 and 304 have no content; "
     "Content-Length is that of the content; and the content for http::Client is attached to it, "
     "by set_data().",
     EINVAL},
    {ArgumentErrc::wrong_message_state, "wrong message state",
     "A message is written as a head, then its content, of exactly the announced length, then its "
     "end, before the next head. After CONNECT or an upgrade only raw verbs work. A handler of "
     "http::Server responds once: by respond(), or by begin(), writer() and end().",
     EINVAL},
    {ArgumentErrc::wrong_engine, "wrong engine",
     "The Aio belongs to another engine than the stream or server; make it with that one's.",
     EINVAL},
    {ArgumentErrc::invalid_server_name, "invalid server name",
     "tls::ClientOptions::server_name is the name that the server's certificate has to prove, a "
     "DNS name or an address: not empty while ContextOptions::verify_name holds, no NUL, no empty "
     "label, at most 255 bytes.",
     EINVAL},
    {ArgumentErrc::no_stream, "no stream",
     "TLS and http::Connection need a connected stream to run over, and the StreamPtr is empty; "
     "connect first and wait for its completion.",
     EINVAL},
    {ArgumentErrc::drain_in_progress, "drain in progress",
     "Another Aio waits for that server's drain; wait with one Aio at a time.", EINVAL},
};

}  // namespace

const std::error_category& argument_category() noexcept {
    static const StaticCategory category("argument", kMeanings);
    return category.get();
}

std::error_code make_error_code(ArgumentErrc code) noexcept {
    return {static_cast<int>(code), argument_category()};
}

}  // namespace uaio
