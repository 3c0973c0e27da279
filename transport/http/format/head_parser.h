// Parsers for the heads of requests and responses (RFC 9112). No I/O, no allocation: bytes in, one
// of three outcomes out. The request parser is always strict; the response parser is lenient if the
// caller asks. A head may arrive in pieces of any size, at a cost linear in its bytes, with the
// same outcome as the whole. Not thread-safe.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_types.h>

#include "base/check.h"
#include "transport/http/format/field_parser.h"
#include "transport/http/format/framing.h"
#include "transport/http/format/target.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace uaio::http {

// The head of a request. Its views are parts of the parsed bytes, and valid as long as those.
struct RequestHead {
    std::string_view method;
    std::string_view target;  // as received
    Target parts;             // its components
    std::string_view host;    // the target's own, else that of the Host field (RFC 9112 3.2.2);
                              // empty in an HTTP/1.0 request that has neither
    Version version = Version::http_1_1;
    FieldViews fields;
    ContentFraming framing = ContentFraming::none;
    std::uint64_t content_length = 0;  // bytes that follow, if `framing` is ContentFraming::length
    bool keep_alive = false;           // the client keeps the connection open
    bool upgrade = false;              // RFC 9110 7.8
    bool expect_continue = false;      // RFC 9110 10.1.1
    bool unknown_expectation = false;  // the server answers with 417
};

// Fills in what the fields say, in a head whose other members are set and whose framing is valid.
inline void describe(const Framing& framing, RequestHead& head) noexcept {
    head.host = head.parts.host;
    if (head.host.data() == nullptr && framing.has_host()) {
        DCHECK(framing.host() < head.fields.size());
        head.host = head.fields[framing.host()].value;
    }
    const bool later_than_1_0 = head.version == Version::http_1_1;
    head.content_length = framing.length();
    head.keep_alive = framing.keeps_alive(head.version);
    head.upgrade = framing.upgrade() && later_than_1_0;
    // RFC 9110 10.1.1 and 7.8: ignores both fields from an HTTP/1.0 client.
    head.expect_continue = framing.expect_continue() && later_than_1_0;
    head.unknown_expectation = framing.unknown_expectation() && later_than_1_0;
}

struct ResponseHead {
    int status = 0;           // 100 to 999
    std::string_view reason;  // may be empty
    Version version = Version::http_1_1;
    FieldViews fields;
    ContentFraming framing = ContentFraming::none;
    std::uint64_t content_length = 0;  // bytes that follow, if `framing` is ContentFraming::length
    bool keep_alive = false;           // the server keeps the connection open
    bool upgrade = false;
};

inline void describe(const Framing& framing, ResponseHead& head) noexcept {
    head.content_length = framing.length();
    // Content that ends with the connection leaves no connection to reuse.
    head.keep_alive =
        framing.keeps_alive(head.version) && head.framing != ContentFraming::until_close;
    head.upgrade = framing.upgrade();
}

// Both parsers store fields in `room`, which must outlive them, and accept at most room.size() and
// at most Limits::fields of them. parse() takes all bytes received so far, from the first byte of
// the message: those of the previous call, possibly at another address, and more. Once it returns
// complete, head() is valid, and the first `consumed` bytes are the head; the content follows. Call
// reset() before the next message. A malformed head has no recoverable end: close the connection.
class RequestParser {
public:
    explicit RequestParser(std::span<FieldSlice> room, const Limits& limits = {},
                           const Scanner& scanner = best_scanner()) noexcept;
    RequestParser(const RequestParser&) = delete;
    RequestParser& operator=(const RequestParser&) = delete;

    void reset() noexcept;
    Parsed parse(std::string_view bytes) noexcept;
    const RequestHead& head() const noexcept { return head_; }

private:
    enum class State : std::uint8_t {
        empty_line,  // one may precede the request (RFC 9112 2.2)
        empty_line_feed,
        method,
        target,
        version,
        fields,
        failed,
    };

    Parsed fail(HttpErrc fault) noexcept;
    Parsed out_of_bytes(State state, std::size_t at) noexcept;
    Parsed parse_line(std::string_view given) noexcept;
    Parsed end_line(std::string_view bytes, std::size_t at) noexcept;
    Parsed parse_fields(std::string_view bytes) noexcept;
    HttpErrc finish(const char* bytes) noexcept;

    const Scanner* scanner_;
    Framing framing_;
    FieldParser fields_;
    std::size_t limit_;       // of the request line
    std::size_t line_ = 0;    // where it began
    std::size_t at_ = 0;      // the first byte not scanned yet
    std::size_t target_ = 0;  // where it began
    std::size_t target_end_ = 0;
    State state_ = State::empty_line;
    HttpErrc fault_ = kFine;
    RequestHead head_;
};

class ResponseParser {
public:
    // A lenient parser accepts everything that lenient FieldParser and Framing accept, a status
    // line without the space after the status, and one that ends with a bare line feed.
    explicit ResponseParser(std::span<FieldSlice> room, const Limits& limits = {},
                            const Scanner& scanner = best_scanner(),
                            Strictness strictness = Strictness::strict) noexcept;
    ResponseParser(const ResponseParser&) = delete;
    ResponseParser& operator=(const ResponseParser&) = delete;

    // `method` is that of the request, and must stay valid until the head is parsed: responses to
    // HEAD and CONNECT end elsewhere. An interim response (1xx) is a head of its own: reset with
    // the same method after it.
    void reset(std::string_view method) noexcept;
    Parsed parse(std::string_view bytes) noexcept;
    const ResponseHead& head() const noexcept { return head_; }

private:
    enum class State : std::uint8_t { start, reason, line_feed, fields, failed };

    Parsed fail(HttpErrc fault) noexcept;
    Parsed out_of_bytes(State state, std::size_t at) noexcept;
    Parsed parse_start(const char* bytes, std::size_t stop) noexcept;
    Parsed parse_line(std::string_view given) noexcept;
    Parsed parse_fields(std::string_view bytes) noexcept;

    const Scanner* scanner_;
    Framing framing_;
    FieldParser fields_;
    std::string_view method_ = "GET";
    std::size_t limit_;
    std::size_t at_ = 0;
    std::size_t reason_ = 0;  // where it begins and ends
    std::size_t reason_end_ = 0;
    const Strictness strictness_;
    State state_ = State::start;
    HttpErrc fault_ = kFine;
    ResponseHead head_;
};

}  // namespace uaio::http
