// ArgumentErrc names the argument of a call that cannot be used, or the call that is out of order.
// uaio::strerror() says what the call accepts. Constructors throw these codes as std::system_error,
// setters return them, and operations end with them. Any thread.
#pragma once

#include <uaio/error.h>

#include <system_error>

namespace uaio {

// Every code equals std::errc::invalid_argument, as Errc::invalid_argument does; that one is only
// for the iovec list of an Aio and the bytes of http::Message::set_content(). So compare with one
// of these codes for one argument, and with the std::errc for any invalid argument; an ArgumentErrc
// and Errc::invalid_argument never equal each other. An operation that the library ends with an
// ArgumentErrc has transferred nothing.
enum class ArgumentErrc {
    // Thrown by Engine for the environment variable UAIO_KERNEL and by tls::Context for its
    // options. what() names the option and the reason.
    invalid_option = 1,
    // http::Request and Request::set_url(); the target of a Dialer or easy::Connection, when
    // connect() runs.
    invalid_url,
    // Endpoint::parse() and parse_address(); the path of a local::Listener or local::connect().
    invalid_endpoint,
    invalid_method,  // http::Request::set_method(): not a token (RFC 9110 9.1)
    invalid_target,  // http::Request::set_target(): empty, or not visible ASCII without "#"
    // http::Response::set_status() and set_error_page(): not 100 to 999. http::Exchange::respond()
    // and begin(): not a final status (begin() allows 101).
    invalid_status,
    invalid_reason,       // http::Response::set_reason(): a control character (RFC 9112 4)
    invalid_header_name,  // http::Headers::set() and add(): not a token (RFC 9110 5.1)
    // http::Headers::set() and add(): a control character (RFC 9110 5.5), or not in the form of
    // Host, Content-Length, Transfer-Encoding or Connection.
    invalid_header_value,
    // http::Headers: a second Host, Content-Length or Transfer-Encoding by add(), or both
    // Content-Length and Transfer-Encoding (RFC 9112 6.1). erase() the other one first.
    conflicting_header,
    invalid_trailer,  // http::ContentWriter::finish(): a field that RFC 9110 6.5.1 keeps out
    // A request or response that no recipient may accept: without Host or a target that goes with
    // its method, with content where its method or status has none, with a Content-Length that is
    // not that of its content.
    invalid_message,
    // Content without a head before it or beyond its Content-Length, or a head inside the content
    // of another message. Exchange::begin() on an exchange that has begun or ended;
    // Connection::write_response() does not count the responses to a request.
    wrong_message_state,
    // The Aio is of another engine than the stream, acceptor, client or server. The callback runs
    // on the Aio's own engine.
    wrong_engine,
    invalid_server_name,  // tls::ClientOptions::server_name, before a byte is sent
    // tls::connect() and accept() with an empty StreamPtr; every verb of an http::Connection that
    // was made from one; where a Connector, Acceptor or DialOptions::start_tls of the user's ends
    // without an error and without a stream.
    no_stream,
    drain_in_progress,  // http::Server::drain() while another Aio waits for the drain
};

// The category of ArgumentErrc; its name() is "argument". Never destroyed, so error codes can be
// compared and printed while exit(3) runs.
const std::error_category& argument_category() noexcept;

// Lets an ArgumentErrc convert to std::error_code and compare with one.
[[nodiscard]] std::error_code make_error_code(ArgumentErrc) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::ArgumentErrc> : std::true_type {};
