#include "transport/http/format/error.h"

#include "base/error_table.h"

#include <algorithm>
#include <iterator>
#include <ranges>

namespace uaio {
namespace {

constexpr ErrorMeaning kHttpMeanings[] = {
    {HttpErrc::bad_start_line, "bad start line",
     "The first line is not that of an HTTP/1.1 message; the peer may use TLS, HTTP/2 or another "
     "protocol on this port."},
    {HttpErrc::bad_method, "bad method",
     "The method of the request contains a character that is not allowed in a token."},
    {HttpErrc::bad_target, "bad request target",
     "The target of the request contains a character that must be percent-encoded, or has a form "
     "that the method does not allow."},
    {HttpErrc::bad_version, "bad HTTP version",
     "The HTTP version is malformed; the peer is faulty or malicious."},
    {HttpErrc::unsupported_version, "unsupported HTTP version",
     "The peer uses another major version of HTTP; it must use HTTP/1.1."},
    {HttpErrc::bad_status, "bad status code",
     "The status line is malformed: it must consist of HTTP/DIGIT.DIGIT, a space, a number from "
     "100 to 999 and a space; the server is faulty."},
    {HttpErrc::bad_reason, "bad reason phrase",
     "The reason phrase contains a control character; the server is faulty or malicious."},
    {HttpErrc::start_line_too_long, "start line too long",
     "The first line is longer than Limits::start_line; shorten the target, or raise the limit."},
    {HttpErrc::bad_field_name, "bad field name",
     "The name of a header field is empty, contains a character that is not allowed in a token, or "
     "has white space before its colon."},
    {HttpErrc::bad_field_value, "bad field value",
     "The value of a header field contains a control character; the peer is faulty or malicious."},
    {HttpErrc::folded_field, "folded header field",
     "A header line begins with white space. HTTP has deprecated folded lines, because recipients "
     "parse them differently; the peer must send the field in one line."},
    {HttpErrc::bare_line_feed, "bare line feed",
     "A line ends with a line feed alone. Recipients parse that differently, so the peer must end "
     "lines with a carriage return and a line feed."},
    {HttpErrc::bare_carriage_return, "bare carriage return",
     "A carriage return is not followed by a line feed. Recipients parse that differently, so the "
     "peer must not send it."},
    {HttpErrc::field_too_long, "header field too long",
     "A header line is longer than Limits::field; a cookie may be too large. Shorten it, or raise "
     "the limit."},
    {HttpErrc::head_too_long, "head too long",
     "The header fields together are longer than Limits::head or Limits::trailer; send fewer "
     "bytes, or raise the limit."},
    {HttpErrc::too_many_fields, "too many header fields",
     "There are more header fields than Limits::fields; send fewer, or raise the limit."},
    {HttpErrc::bad_host, "bad host",
     "The request has no Host field, several, or one that is not a host with an optional port."},
    {HttpErrc::bad_content_length, "bad content length",
     "Content-Length is not a single decimal number below 2^63; the peer is faulty or malicious."},
    {HttpErrc::repeated_content_length, "repeated content length",
     "There are several Content-Length fields; the peer is faulty, or the message is a request "
     "smuggling attack."},
    {HttpErrc::bad_transfer_encoding, "bad transfer encoding",
     "Transfer-Encoding does not end in a single chunked, or the message is not HTTP/1.1; the peer "
     "is faulty, or the message is a request smuggling attack."},
    {HttpErrc::unsupported_transfer_coding, "unsupported transfer coding",
     "Transfer-Encoding names a coding other than chunked, which this library does not decode; "
     "compress with Content-Encoding instead."},
    {HttpErrc::conflicting_framing, "conflicting framing",
     "The message has two framings, or content that it must not have; the peer is faulty, or the "
     "message is a request smuggling attack."},
    {HttpErrc::bad_connection, "bad connection field",
     "The Connection field is not a list of tokens; the peer is faulty."},
    {HttpErrc::bad_chunk_size, "bad chunk size",
     "The size of a chunk does not consist of 1 to 16 hexadecimal digits; the peer is faulty or "
     "malicious."},
    {HttpErrc::chunk_too_large, "chunk too large",
     "The size of a chunk is 2^63 or more; the peer is faulty or malicious."},
    {HttpErrc::bad_chunk_extension, "bad chunk extension",
     "The extension of a chunk is malformed; the peer is faulty or malicious."},
    {HttpErrc::chunk_extension_too_long, "chunk extension too long",
     "The extensions of a chunk or of all chunks are longer than Limits::chunk_extension or "
     "Limits::chunk_extensions; they may be an attack, since they are hardly used."},
    {HttpErrc::bad_chunk_end, "bad end of chunk",
     "No line end follows a chunk, so its size was wrong; the peer is faulty or malicious."},
    {HttpErrc::too_many_interim_responses, "too many interim responses",
     "The server sent more than 16 interim responses (1xx) without a final one; it is faulty or "
     "malicious."},
    {HttpErrc::unexpected_switch, "unexpected 101 response",
     "The server switched to another protocol, which the request did not ask for; it is faulty or "
     "malicious."},
    {HttpErrc::unrequested_response, "unrequested response",
     "The server sent a response before the request. It may belong to another request, so the "
     "connection was closed."},
    {HttpErrc::insecure_connector, "https over a connector without TLS",
     "The request is for an https URL, but the client's connector opens connections without TLS, "
     "which would send the request unencrypted. Give the client a Dialer for that URL, or a "
     "tls::Connector; a connector of your own that uses TLS must override origin()."},
    {HttpErrc::wrong_origin, "wrong origin",
     "The scheme, host or port of the request's URL is not that of the client's server. Create a "
     "client for each server. For another name of the same server, set the target with "
     "set_target(), and Host."},
    {HttpErrc::too_many_redirects, "too many redirects",
     "The server redirected more often than ClientOptions::redirects allows, perhaps in a loop; "
     "the response is its last one."},
    {HttpErrc::content_too_large, "content of the response too large",
     "The content of the response is longer than ClientOptions::content_limit; raise the limit, or "
     "read the content in pieces from an http::Connection."},
    {HttpErrc::no_response, "no response",
     "The server closed the connection without a response; it may have failed on this request, or "
     "may not use HTTP on this port: check its log."},
};

// The enumerators are numbered from 1, without gaps.
static_assert(std::size(kHttpMeanings) == static_cast<std::size_t>(HttpErrc::no_response));
static_assert(std::ranges::equal(kHttpMeanings,
                                 std::views::iota(1, 1 + int{std::size(kHttpMeanings)}), {},
                                 &ErrorMeaning::code));

}  // namespace

const std::error_category& http_category() noexcept {
    static const StaticCategory category("http", kHttpMeanings);
    return category.get();
}

std::error_code make_error_code(HttpErrc code) noexcept {
    return {static_cast<int>(code), http_category()};
}

namespace http {

int status_of(HttpErrc fault) noexcept {
    switch (fault) {
        case HttpErrc::start_line_too_long: return 414;
        case HttpErrc::field_too_long:
        case HttpErrc::head_too_long:
        case HttpErrc::too_many_fields: return 431;
        case HttpErrc::unsupported_transfer_coding: return 501;
        case HttpErrc::unsupported_version: return 505;
        case HttpErrc::insecure_connector:
        case HttpErrc::wrong_origin: return 500;
        case HttpErrc::too_many_interim_responses:
        case HttpErrc::unexpected_switch:
        case HttpErrc::unrequested_response:
        case HttpErrc::too_many_redirects:
        case HttpErrc::content_too_large:
        case HttpErrc::no_response: return 502;
        default: return 400;
    }
}

}  // namespace http
}  // namespace uaio
