// The errors of HTTP/1.1: faults of a received message, and what http::Client refuses or reports.
// Any thread.
#pragma once

#include <system_error>

namespace uaio {

// What is wrong with an HTTP/1.1 message that was received (RFC 9110, RFC 9112). The first wrong
// byte decides, however the bytes arrived; http::status_for() says what a server answers.
enum class HttpErrc {
    bad_start_line = 1,           // not three parts with one space between them, or no version
    bad_method,                   // not a token (RFC 9110 9.1)
    bad_target,                   // a character or a form that this method must not have (9112 3.2)
    bad_version,                  // not "HTTP/" digit "." digit (9112 2.3)
    unsupported_version,          // well written, and its major version is not 1
    bad_status,                   // not a space, three digits from 100 on, a space (9112 4)
    bad_reason,                   // a control character in the reason phrase
    start_line_too_long,          // http::Limits::start_line
    bad_field_name,               // not a token followed at once by a colon (9112 5.1)
    bad_field_value,              // a control character (9110 5.5)
    folded_field,                 // a line that begins with white space (9112 5.2)
    bare_line_feed,               // a line feed that no carriage return precedes (9112 2.2)
    bare_carriage_return,         // a carriage return that no line feed follows (9112 2.2)
    field_too_long,               // http::Limits::field
    head_too_long,                // http::Limits::head
    too_many_fields,              // http::Limits::fields
    bad_host,                     // no host, two, or not a host and a port (9112 3.2)
    bad_content_length,           // not one number below 2^63 (9110 8.6)
    repeated_content_length,      // several, even if equal (9112 6.3)
    bad_transfer_encoding,        // chunked is not the last coding, not alone, or not in HTTP/1.1
    unsupported_transfer_coding,  // a coding that this library does not know (9112 6.1)
    conflicting_framing,          // Content-Length and Transfer-Encoding, or content on CONNECT
    bad_connection,               // Connection is not a list of tokens (9110 7.6.1)
    bad_chunk_size,               // not hexadecimal digits, or more than 16 (9112 7.1)
    chunk_too_large,              // a chunk of 2^63 bytes or more
    bad_chunk_extension,          // not ";" name [ "=" value ] (9112 7.1.1)
    chunk_extension_too_long,     // http::Limits::chunk_extension or chunk_extensions
    bad_chunk_end,                // what follows the bytes of a chunk is not a line end
    too_many_interim_responses,   // more than 16 of 1xx before the final one (9110 15.2)
    unexpected_switch,            // 101 for a request without Upgrade (9110 7.8, 15.2.2)
    unrequested_response,         // it began to come before its request was sent
    // What http::Client does not do; nothing of the message has been sent.
    insecure_connector,  // an https URL, and a connector without TLS
    wrong_origin,        // a URL of another scheme, host or port than the client's connections have
    too_many_redirects,  // http::ClientOptions::redirects
    // How a transaction of http::Client ends.
    content_too_large,  // of a response: http::ClientOptions::content_limit
    no_response,        // the server closed the connection before a byte of one
};

// The category of HttpErrc; its name() is "http".
const std::error_category& http_category() noexcept;

std::error_code make_error_code(HttpErrc) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::HttpErrc> : std::true_type {};
