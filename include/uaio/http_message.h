// HTTP requests and responses as a program makes and reads them, like nng_http_req and nng_http_res
// (nng_http_req_alloc(3http) and its neighbours). Nothing that a setter accepts can end a line or
// begin another when it is sent, and a change after a message was sent takes effect in the head
// that is sent next. Value objects that are made to be used again: after a few messages they
// allocate no more. One thread at a time, none while a connection sends or receives them. Views
// that they return are valid until the part that they show changes. A message that was moved from
// needs reset().
#pragma once

#include <uaio/http_content_buffer.h>
#include <uaio/http_headers.h>
#include <uaio/http_types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

// The reason phrase that the IANA registry of HTTP status codes (RFC 9110 16.2.1) has for a status;
// empty for any other number, and for 306 and 418, which are reserved. Lives as long as the
// program.
std::string_view reason_phrase(int status) noexcept;

// The status with which a server answers a request that ended with this error. For a fault of a
// request in HttpErrc (RFC 9110 15.5, 15.6): 414 start_line_too_long; 431 field_too_long,
// head_too_long and too_many_fields; 501 unsupported_transfer_coding; 505 unsupported_version; else
// 400. For faults of a response and errors of http::Client, as a gateway would answer: 502, or 500
// if the request was not sent. 500 for every other code.
int status_for(std::error_code error) noexcept;

// The version, fields and content that requests and responses have in common. A setter returns a
// code of ArgumentErrc for a value that cannot be sent, or Errc::not_enough_memory; it changes
// nothing then.
class Message {
public:
    // HTTP/1.1 at first; of a message that was read, the version that was received. A response in
    // HTTP/1.1 to a request in HTTP/1.0 is sent without chunks.
    Version version() const noexcept { return version_; }
    void set_version(Version version) noexcept { version_ = version; }

    // The fields to send, or those received. Of a message read, lines of one name are one field, as
    // Headers::add() joins them; trailer fields are not among them, see ContentReader::trailer().
    Headers& headers() noexcept { return headers_; }
    const Headers& headers() const noexcept { return headers_; }

    // Makes these bytes the content and sets Content-Length. The bytes are borrowed until the
    // message has other content, is reset, or is destroyed, and a copy of the message borrows them
    // as well. They are sent from where they are. ArgumentErrc::conflicting_header if
    // Transfer-Encoding is set, Errc::invalid_argument for a length without an address,
    // Errc::not_enough_memory.
    [[nodiscard]] std::error_code set_content(const void* data, std::size_t size) noexcept;
    [[nodiscard]] std::error_code set_content(std::string_view content) noexcept {
        return set_content(content.data(), content.size());
    }
    // The same with a copy of the bytes, in memory that is used again for the next copy and never
    // shrinks. They may be a part of the message itself.
    [[nodiscard]] std::error_code copy_content(const void* data, std::size_t size) noexcept;
    [[nodiscard]] std::error_code copy_content(std::string_view content) noexcept {
        return copy_content(content.data(), content.size());
    }
    // Removes the content and Content-Length. Keeps the memory of copies.
    void clear_content() noexcept;
    // True after set_content or copy_content, even of no bytes, and where http::Client or an
    // http::Server's route collected content. read_request() and read_response() attach none.
    bool has_content() const noexcept { return content_kind_ != ContentKind::none; }
    // The content; empty without one. Valid until the content changes or the message is destroyed.
    std::string_view content() const noexcept {
        return content_kind_ == ContentKind::owned ? owned_.view() : borrowed_;
    }

protected:
    Message() = default;
    ~Message() = default;
    Message(const Message&) = default;
    Message(Message&&) noexcept = default;
    Message& operator=(const Message&) = default;
    Message& operator=(Message&&) noexcept = default;

    void reset_message() noexcept;

private:
    friend class MessageReader;
    friend class MessageSink;
    enum class ContentKind { none, borrowed, owned };

    [[nodiscard]] std::error_code set_length(std::size_t size) noexcept;

    Headers headers_;
    std::string head_;  // as it is sent, while a connection sends it
    ContentBuffer owned_;
    std::string_view borrowed_;
    ContentKind content_kind_ = ContentKind::none;
    Version version_ = Version::http_1_1;
};

// A request to send, or one that was read.
class Request : public Message {
public:
    // GET, HTTP/1.1, without a target and without a Host. To be sent it needs a target and, in
    // HTTP/1.1, a Host (RFC 9112 3.2), or it is ArgumentErrc::invalid_message. Allocates nothing.
    Request() = default;
    // GET for a URL. Throws std::system_error with the error of set_url(); its text names the URL,
    // without user information, query and fragment.
    explicit Request(std::string_view url);

    // Sets origin, target and Host from an http, https, ws or wss URL: Host without a port that is
    // the scheme's own, the target without the fragment, which is not sent (RFC 9110 7.1, 7.2).
    // A URL without a path has "/". Method, other fields and content stay.
    // ArgumentErrc::invalid_url for anything else, user information, port 0, and characters that
    // must be percent-encoded (RFC 3986 2): blanks, control characters and bytes above 0x7f.
    [[nodiscard]] std::error_code set_url(std::string_view url) noexcept;
    // The origin of the URL (RFC 6454 4): "http://host", "https://host:8443"; https for wss. It
    // stays when the target or Host is set to something else; http::Client sends the request there
    // or nowhere. Empty for a request that was made from a target and a Host alone, and for one
    // that was read. Valid until set_url(), set_target() or reset().
    std::string_view origin() const noexcept { return {target_.data(), origin_size_}; }

    // A token, in its own case, which counts: "GET" (RFC 9110 9.1). GET at first.
    std::string_view method() const noexcept { return method_.empty() ? kGet : method_; }
    // Any token is accepted; HEAD, CONNECT, OPTIONS and TRACE have a meaning of their own for
    // framing and targets. ArgumentErrc::invalid_method for anything else.
    [[nodiscard]] std::error_code set_method(std::string_view method) noexcept;
    // The target as in the request line (RFC 9112 3.2), still percent-encoded: "/path?query", a
    // whole URL for a proxy, "host:port" for CONNECT, "*" for OPTIONS. Empty before it is set.
    std::string_view target() const noexcept {
        return std::string_view(target_).substr(origin_size_);
    }
    // Sets the target and leaves origin and Host as they are. Visible ASCII without "#", at least
    // one character, else ArgumentErrc::invalid_target. Whether it goes with the method is checked
    // when the request is sent: ArgumentErrc::invalid_message.
    [[nodiscard]] std::error_code set_target(std::string_view target) noexcept;

    // Restores the initial state: GET without target, fields and content. Keeps its memory.
    void reset() noexcept;

private:
    friend class MessageReader;
    static constexpr std::string_view kGet = "GET";

    std::string method_;  // empty for GET, so that the default needs no memory
    std::string target_;  // behind the origin, if there is one
    std::size_t origin_size_ = 0;
};

// A response to send, or one that was read.
class Response : public Message {
public:
    // 200, HTTP/1.1, without fields and content. Allocates nothing.
    Response() = default;

    int status() const noexcept { return status_; }
    // 100 to 999, registered or not, else ArgumentErrc::invalid_status. A reason that was set
    // before is dropped.
    [[nodiscard]] std::error_code set_status(int status) noexcept;
    // The reason that was set or received, which may be empty; else that of reason_phrase(). Valid
    // until it changes.
    std::string_view reason() const noexcept;
    // Text without control characters but the tab (RFC 9112 4), else ArgumentErrc::invalid_reason.
    // An empty one stands for that of reason_phrase().
    [[nodiscard]] std::error_code set_reason(std::string_view reason) noexcept;

    // Makes it an error page: the status, the reason of reason_phrase(), and a small HTML page that
    // shows both, with Content-Type and Content-Length. Transfer-Encoding is removed, other fields
    // stay. A status that allows no content (1xx, 204, 205, 304) gets none.
    // ArgumentErrc::invalid_status for a status that is not 100 to 999. Unlike a setter it may be
    // half done after Errc::not_enough_memory.
    [[nodiscard]] std::error_code set_error_page(int status) noexcept;

    // Restores the initial state: 200 without fields and content. Keeps its memory.
    void reset() noexcept;

private:
    friend class MessageReader;

    std::string reason_;  // empty: that of the registry
    bool reason_set_ = false;
    int status_ = 200;
};

}  // namespace uaio::http
