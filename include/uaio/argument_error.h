// Which argument of a call is wrong, by name. uaio::strerror() says what the call takes. Any
// thread.
#pragma once

#include <uaio/error.h>

#include <system_error>

namespace uaio {

// Each equals std::errc::invalid_argument, as Errc::invalid_argument does, which is left for the
// buffers of an Aio.
enum class ArgumentErrc {
    invalid_option = 1,    // of a constructor; the text of its exception says which
    invalid_url,           // http::Request, Dialer, easy::Connection
    invalid_endpoint,      // Endpoint::parse(), a unix socket path
    invalid_method,        // http::Request::set_method()
    invalid_target,        // http::Request::set_target()
    invalid_status,        // http::Response::set_status(), http::Exchange::respond() and begin()
    invalid_reason,        // http::Response::set_reason()
    invalid_header_name,   // http::Headers::set() and add()
    invalid_header_value,  // http::Headers::set() and add()
    conflicting_header,    // a second one of what stands once, or two ways to end a message
    invalid_trailer,       // a field that must not come behind the content
    invalid_message,       // a request or response that must not be sent as it is
    wrong_message_state,   // content without a head, a head inside another message's content, or
                           // a second response to a request
    wrong_engine,          // the Aio belongs to another engine than the stream
    invalid_server_name,   // tls::ClientOptions::server_name
    no_stream,             // an empty StreamPtr: tls::connect() and accept(), http::Connection
    drain_in_progress,     // http::Server::drain() while an Aio waits already
};

// The category of ArgumentErrc; its name() is "argument".
const std::error_category& argument_category() noexcept;

std::error_code make_error_code(ArgumentErrc) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::ArgumentErrc> : std::true_type {};
