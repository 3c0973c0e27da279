#include "transport/http/format/error.h"

#include "base/error_table.h"

namespace uaio {
namespace {

constexpr ErrorMeaning kMeanings[] = {
    {HttpErrc::bad_start_line, "bad start line",
     "The first line is not that of an HTTP/1.1 message; perhaps the peer speaks TLS, HTTP/2 or "
     "another protocol on this port."},
    {HttpErrc::bad_method, "bad method",
     "The method of the request holds a character that no method may hold."},
    {HttpErrc::bad_target, "bad request target",
     "The target of the request holds a character that must be percent-encoded, or has a form that "
     "does not go with the method."},
    {HttpErrc::bad_version, "bad HTTP version",
     "The version is not written as HTTP/1.1 is; the peer is broken, or hostile."},
    {HttpErrc::unsupported_version, "unsupported HTTP version",
     "The peer speaks another major version of HTTP; it has to use HTTP/1.1 here."},
    {HttpErrc::bad_status, "bad status code",
     "The status line is not HTTP/DIGIT.DIGIT, a space, three digits from 100 on, and a space; the "
     "server is broken."},
    {HttpErrc::bad_reason, "bad reason phrase",
     "The reason phrase holds a control character; the server is broken, or hostile."},
    {HttpErrc::start_line_too_long, "start line too long",
     "The first line is longer than Limits::start_line; shorten the target, or raise the limit."},
    {HttpErrc::bad_field_name, "bad field name",
     "The name of a header field is empty, holds a character that no name may hold, or has white "
     "space before its colon."},
    {HttpErrc::bad_field_value, "bad field value",
     "The value of a header field holds a control character; the peer is broken, or hostile."},
    {HttpErrc::folded_field, "folded header field",
     "A header line begins with white space. HTTP gave up folded lines because recipients read "
     "them differently; the peer has to send the field in one line."},
    {HttpErrc::bare_line_feed, "bare line feed",
     "A line ends with a line feed alone. Recipients read that differently, so the peer has to end "
     "lines with a carriage return and a line feed."},
    {HttpErrc::bare_carriage_return, "bare carriage return",
     "A carriage return stands alone. Recipients read that differently, so the peer must not send "
     "it."},
    {HttpErrc::field_too_long, "header field too long",
     "A header line is longer than Limits::field; a cookie may have grown too large. Shorten it, "
     "or raise the limit."},
    {HttpErrc::head_too_long, "head too long",
     "The header fields together are longer than their limit, Limits::head or Limits::trailer; "
     "send less, or raise it."},
    {HttpErrc::too_many_fields, "too many header fields",
     "There are more header fields than Limits::fields; send fewer, or raise the limit."},
    {HttpErrc::bad_host, "bad host",
     "The request has no Host field, several, or one that is not a host and perhaps a port."},
    {HttpErrc::bad_content_length, "bad content length",
     "Content-Length is not one decimal number below 2^63; the peer is broken, or hostile."},
    {HttpErrc::repeated_content_length, "repeated content length",
     "There are several Content-Length fields; the peer is broken, or something before this "
     "program is being deceived."},
    {HttpErrc::bad_transfer_encoding, "bad transfer encoding",
     "Transfer-Encoding does not end in one chunked, or the message is not HTTP/1.1; the peer is "
     "broken, or something before this program is being deceived."},
    {HttpErrc::unsupported_transfer_coding, "unsupported transfer coding",
     "Transfer-Encoding names a coding other than chunked, which this library does not decode; "
     "compress with Content-Encoding instead."},
    {HttpErrc::conflicting_framing, "conflicting framing",
     "The message says in two ways where it ends, or has content that it must not have; the peer "
     "is broken, or something before this program is being deceived."},
    {HttpErrc::bad_connection, "bad connection field",
     "The Connection field is not a list of names; the peer is broken."},
    {HttpErrc::bad_chunk_size, "bad chunk size",
     "The size of a chunk is not one to sixteen hexadecimal digits; the peer is broken, or "
     "hostile."},
    {HttpErrc::chunk_too_large, "chunk too large",
     "A chunk says that it has 2^63 bytes or more; the peer is broken, or hostile."},
    {HttpErrc::bad_chunk_extension, "bad chunk extension",
     "What follows the size of a chunk is not a well-formed extension; the peer is broken, or "
     "hostile."},
    {HttpErrc::chunk_extension_too_long, "chunk extension too long",
     "The extensions of a chunk, or of all chunks, are longer than Limits::chunk_extension or "
     "Limits::chunk_extensions; nobody needs them, so they may be an attack."},
    {HttpErrc::bad_chunk_end, "bad end of chunk",
     "A chunk is not followed by a line end, so its size was wrong; the peer is broken, or "
     "hostile."},
    {HttpErrc::too_many_interim_responses, "too many interim responses",
     "The server sends more than 16 interim responses (1xx) and no final one; it is broken, or "
     "hostile."},
    {HttpErrc::unexpected_switch, "unexpected 101 response",
     "The server switches to another protocol, which the request did not ask for; it is broken, or "
     "hostile."},
    {HttpErrc::unrequested_response, "unrequested response",
     "The server sent a response before the request; it may belong to another request, so the "
     "connection has been closed."},
    {HttpErrc::insecure_connector, "https over a connector without TLS",
     "The request is for an https URL, and the client's connector makes plain connections: the "
     "request would be sent in clear. Give the client a Dialer for that URL, or a "
     "tls::Connector; a connector of your own that uses TLS has to override origin()."},
    {HttpErrc::wrong_origin, "wrong origin",
     "The request is for the URL of another scheme, host or port than the client reaches. A client "
     "is for one server: make one for the other server. For another name of the same server set "
     "the target, by set_target(), and Host."},
    {HttpErrc::too_many_redirects, "too many redirects",
     "The server redirects more often than ClientOptions::redirects allows, perhaps in a circle; "
     "the response is its last one."},
    {HttpErrc::content_too_large, "content of the response too large",
     "The content of the response is longer than ClientOptions::content_limit; raise the limit, or "
     "read it in pieces from an http::Connection."},
    {HttpErrc::no_response, "no response",
     "The server closed the connection without a response; it may have failed over this request, "
     "or does not speak HTTP on this port: look at its log."},
};

}  // namespace

const std::error_category& http_category() noexcept {
    static const StaticCategory category("http", kMeanings);
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
