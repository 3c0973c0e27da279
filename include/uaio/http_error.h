// The errors of HTTP/1.1: faults of a received message, and what http::Client refuses or reports.
// Any thread.
#pragma once

#include <system_error>

namespace uaio {

// Faults of an HTTP/1.1 message that was received (RFC 9110, RFC 9112), and errors of http::Client.
// The first wrong byte decides, however the bytes arrive. After a fault the start of the next
// message is unknown: every later read of the connection ends with Errc::closed, and a server
// answers with http::status_for(), which is 400 unless a status stands below, and closes. Sections
// of the RFCs stand in parentheses.
enum class HttpErrc {
    bad_start_line = 1,    // not three parts with one space between them, or no version
    bad_method,            // not a token (RFC 9110 9.1)
    bad_target,            // a character or a form that this method must not have (9112 3.2)
    bad_version,           // not "HTTP/" digit "." digit (9112 2.3)
    unsupported_version,   // well-formed, with a major version other than 1: 505
    bad_status,            // not a space, three digits from 100 on, a space (9112 4)
    bad_reason,            // a control character in the reason phrase (9112 4)
    start_line_too_long,   // http::Limits::start_line: 414
    bad_field_name,        // not a token followed at once by a colon (9112 5.1)
    bad_field_value,       // a control character (9110 5.5)
    folded_field,          // a line that begins with white space (9112 5.2)
    bare_line_feed,        // a line feed without a carriage return before it (9112 2.2)
    bare_carriage_return,  // a carriage return without a line feed behind it (9112 2.2)
    field_too_long,        // http::Limits::field: 431
    head_too_long,         // http::Limits::head, or Limits::trailer: 431
    too_many_fields,       // http::Limits::fields: 431
    bad_host,              // none in HTTP/1.1, two, or not a host and a port (9112 3.2)
    bad_content_length,    // not one decimal number below 2^63 (9110 8.6)
    // Several, even if equal (9112 6.3); a lenient reader accepts equal ones.
    repeated_content_length,
    // chunked is repeated, not the last coding, has parameters, or is in HTTP/1.0 (9112 6.1).
    bad_transfer_encoding,
    unsupported_transfer_coding,  // a coding other than chunked (9112 6.1): 501
    // Content-Length and Transfer-Encoding (9112 6.1), or content of CONNECT or TRACE.
    conflicting_framing,
    bad_connection,            // Connection is not a list of tokens (9110 7.6.1)
    bad_chunk_size,            // not 1 to 16 hexadecimal digits (9112 7.1)
    chunk_too_large,           // a chunk of 2^63 bytes or more
    bad_chunk_extension,       // not ";" name [ "=" value ] (9112 7.1.1)
    chunk_extension_too_long,  // http::Limits::chunk_extension or chunk_extensions
    bad_chunk_end,             // no line end behind the bytes of a chunk (9112 7.1)
    // More than 16 of 1xx, 101 not counted, before the final response (9110 15.2).
    too_many_interim_responses,
    // 101 in answer to a request without Upgrade (9110 7.8, 15.2.2).
    unexpected_switch,
    // A kept connection delivered bytes of a response before its request was sent. They may be the
    // answer to another request, so the connection is closed.
    unrequested_response,

    // http::Client refuses the request; nothing of it has been sent.
    insecure_connector,  // an https URL, and a connector without TLS
    wrong_origin,        // a URL of another scheme, host or port than the client's connections have

    // http::Client ends the transaction.
    too_many_redirects,  // http::ClientOptions::redirects; the response is the last one received
    content_too_large,   // of a response: http::ClientOptions::content_limit
    no_response,         // the server closed the connection before the first byte of a response
};

// The category of HttpErrc; its name() is "http". Never destroyed, as error_category().
const std::error_category& http_category() noexcept;

// Lets an HttpErrc convert to std::error_code and compare with one.
[[nodiscard]] std::error_code make_error_code(HttpErrc) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::HttpErrc> : std::true_type {};
