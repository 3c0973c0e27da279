// HTTP requests and responses as a program makes and reads them: what nng_http_req and nng_http_res
// are (nng_http_req_alloc(3http) and its neighbours). Nothing that a setter accepts can end a line
// or begin another when it is sent, and what is changed after a message was sent is sent the next
// time. Value objects that are made to be used again: one thread at a time, none while a connection
// sends or receives them. Views that they give are valid until what they show changes.
#pragma once

#include <uaio/http_content.h>
#include <uaio/http_headers.h>
#include <uaio/http_types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

// The reason phrase that the IANA registry has for a status; empty if it has none. Lives as long as
// the program.
std::string_view reason_phrase(int status) noexcept;

// The status with which a server answers a request that ended with this error: 400, 414, 431, 501
// or 505 for a fault of HttpErrc (RFC 9110 section 15), 500 for any other.
int status_for(std::error_code error) noexcept;

// What requests and responses have in common. A setter returns a code of ArgumentErrc for what
// cannot be sent, or Errc::not_enough_memory; everything is as before then.
class Message {
public:
    Version version() const noexcept { return version_; }
    void set_version(Version version) noexcept { version_ = version; }

    Headers& headers() noexcept { return headers_; }
    const Headers& headers() const noexcept { return headers_; }

    // Makes these bytes the content and sets Content-Length. The bytes are borrowed: until the
    // message has other content, is reset, or is gone. ArgumentErrc::conflicting_header
    // if Transfer-Encoding is set, Errc::invalid_argument for a length without an address.
    std::error_code set_data(const void* data, std::size_t size) noexcept;
    std::error_code set_data(std::string_view data) noexcept {
        return set_data(data.data(), data.size());
    }
    // The same with a copy of the bytes, in memory that is used again for the next copy. They may
    // be a part of the message itself.
    std::error_code copy_data(const void* data, std::size_t size) noexcept;
    std::error_code copy_data(std::string_view data) noexcept {
        return copy_data(data.data(), data.size());
    }
    // Removes the content and Content-Length.
    void clear_data() noexcept;
    // True after set_data or copy_data, even of no bytes.
    bool has_data() const noexcept { return data_kind_ != DataKind::none; }
    std::string_view data() const noexcept {
        return data_kind_ == DataKind::owned ? owned_.view() : borrowed_;
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
    enum class DataKind { none, borrowed, owned };

    std::error_code set_length(std::size_t size) noexcept;

    Headers headers_;
    std::string head_;  // as it is sent, while a connection sends it
    ContentBuffer owned_;
    std::string_view borrowed_;
    DataKind data_kind_ = DataKind::none;
    Version version_ = Version::http_1_1;
};

class Request : public Message {
public:
    // GET, HTTP/1.1, without a target and without a Host, both of which it needs to be sent.
    Request() = default;
    // For a URL. Throws std::system_error with the error of set_url(); its text names the URL,
    // without user information and query.
    explicit Request(std::string_view url);

    // Sets origin, target and Host from an http, https, ws or wss URL: Host without a port that is
    // the scheme's own, the target without the fragment, which is not sent (RFC 9110 7.1, 7.2).
    // ArgumentErrc::invalid_url too for user information and what has to be percent-encoded.
    std::error_code set_url(std::string_view url) noexcept;
    // The origin of the URL (RFC 6454 4): "http://host", "https://host:8443"; https for wss. It
    // stays when the target or Host is set to something else; http::Client sends the request there
    // or nowhere. Empty for a request that is made from a target and a Host alone.
    std::string_view origin() const noexcept { return {target_.data(), origin_size_}; }

    // A token, in its own case: "GET". `http::Request` does not know methods by name.
    std::string_view method() const noexcept { return method_.empty() ? kGet : method_; }
    std::error_code set_method(std::string_view method) noexcept;
    // As in the request line (RFC 9112 3.2): "/path?query", or a whole URL for a proxy,
    // "host:port" for CONNECT, "*" for OPTIONS; that it goes with the method is looked at when the
    // request is sent. Visible ASCII without "#".
    std::string_view target() const noexcept {
        return std::string_view(target_).substr(origin_size_);
    }
    std::error_code set_target(std::string_view target) noexcept;

    // As new, but for the memory, which is kept.
    void reset() noexcept;

private:
    friend class MessageReader;
    static constexpr std::string_view kGet = "GET";

    std::string method_;  // empty for GET, so that the default needs no memory
    std::string target_;  // behind the origin, if there is one
    std::size_t origin_size_ = 0;
};

class Response : public Message {
public:
    // 200, HTTP/1.1.
    Response() = default;

    int status() const noexcept { return status_; }
    // 100 to 999. A reason that was set before is forgotten.
    std::error_code set_status(int status) noexcept;
    // The one that was set or received, else that of the registry, which may be empty.
    std::string_view reason() const noexcept;
    // Text without control characters; empty for that of the registry.
    std::error_code set_reason(std::string_view reason) noexcept;

    // Makes it an error page: the status, its reason, and a small HTML page that shows both, with
    // its Content-Type. Other fields stay. A status that allows no content (1xx, 204, 304) gets
    // none. Unlike a setter it may be half done after Errc::not_enough_memory.
    std::error_code set_error_page(int status) noexcept;

    // As new, but for the memory, which is kept.
    void reset() noexcept;

private:
    friend class MessageReader;

    std::string reason_;  // empty: that of the registry
    bool reason_set_ = false;
    int status_ = 200;
};

}  // namespace uaio::http
