#include "transport/http/format/serialiser.h"

#include <uaio/argument_error.h>
#include <uaio/error.h>

#include "base/check.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>

namespace uaio::http {
namespace {

constexpr std::string_view kLength = "Content-Length";
constexpr std::string_view kCodings = "Transfer-Encoding";
constexpr std::string_view kConnection = "Connection";
constexpr std::string_view kDate = "Date";

std::string_view text_of(Version version) noexcept {
    return version == Version::http_1_1 ? "HTTP/1.1" : "HTTP/1.0";
}

constexpr char digit(int number) noexcept { return static_cast<char>('0' + number); }

// The framing that the fields announce, and the changes to make to them.
struct Plan {
    FollowingMessage following;
    bool chunked = false;      // the field is present
    bool drop_length = false;  // leave these fields out
    bool drop_codings = false;
    bool add_length = false;  // add them: the length is following.length
    bool add_codings = false;
    std::string_view add_connection;  // its value, or empty
    std::string_view add_date;
};

// Evaluates the fields once. False if they contradict each other.
bool understand(const Headers& headers, Framing& framing, bool& has_date) noexcept {
    std::uint32_t index = 0;
    for (const auto [name, value] : headers) {
        if (framing.take(name, value, index++) != kFine) return false;
        if (same_name(name, kDate)) has_date = true;
    }
    return !framing.chunked() || !framing.has_length();
}

ContentFraming framing_of(std::uint64_t length) noexcept {
    return length > 0 ? ContentFraming::length : ContentFraming::none;
}

// Frames attached content. False if that contradicts the fields.
bool frame_attached(const Message& message, const Framing& framing, Plan& plan) noexcept {
    const std::uint64_t size = message.content().size();
    if (framing.chunked() || (framing.has_length() && framing.length() != size)) return false;
    plan.add_length = !framing.has_length();
    plan.following.length = size;
    plan.following.framing = framing_of(size);
    return true;
}

// `chunks`: the recipient understands them.
void frame_streamed(const Framing& framing, bool chunks, Plan& plan) noexcept {
    if (framing.has_length()) {
        plan.following.length = framing.length();
        plan.following.framing = framing_of(framing.length());
    } else if (chunks) {
        plan.add_codings = !framing.chunked();
        plan.following.framing = ContentFraming::chunked;
    } else {
        plan.drop_codings = true;
        plan.following.framing = ContentFraming::until_close;
    }
}

bool usually_has_content(std::string_view method) noexcept {
    return method == "POST" || method == "PUT" || method == "PATCH";
}

bool plan_request(const Request& request, Payload payload, Plan& plan) noexcept {
    Target parts;
    Framing framing;
    bool has_date = false;
    if (!split_target(request.method(), request.target(), parts)) return false;
    if (!understand(request.headers(), framing, has_date)) return false;
    const bool chunks = request.version() == Version::http_1_1;
    if (chunks && !framing.has_host()) return false;
    if (payload == Payload::attached) {
        if (!frame_attached(request, framing, plan)) return false;
        const bool announce = request.has_content() || usually_has_content(request.method());
        plan.add_length = plan.add_length && announce;
    } else {
        frame_streamed(framing, chunks, plan);
        if (plan.following.framing == ContentFraming::until_close) return false;  // responses only
    }
    // The same rule as in our parser: RFC 9110 9.3.6, 9.3.8.
    const bool tunnel = request.method() == "CONNECT";
    if (plan.following.framing != ContentFraming::none && (tunnel || request.method() == "TRACE"))
        return false;
    if (tunnel) plan.following.framing = ContentFraming::tunnel;
    plan.following.keep_alive = framing.keeps_alive(request.version());
    return true;
}

// Frames a response that must not have content, or that announces only its length.
bool frame_empty(const Response& response, const ResponseContext& answered, Payload payload,
                 const Framing& framing, Plan& plan) noexcept {
    const int status = response.status();
    const bool tunnel = status == 101 || (answered.method == "CONNECT" && status / 100 == 2);
    plan.following.framing = tunnel ? ContentFraming::tunnel : ContentFraming::none;
    if (status < 200 || status == 204 || tunnel) {
        if (!response.content().empty()) return false;
        if (framing.chunked() || framing.length() > 0) return false;
        plan.drop_length = true;
    } else if (status == 304) {
        if (!response.content().empty()) return false;
    } else if (payload == Payload::attached && response.has_content()) {  // to HEAD
        return frame_attached(response, framing, plan) &&
               (plan.following.framing = ContentFraming::none, true);
    }
    return true;
}

// Frames 205, which has a length of 0 as its only framing for every method (RFC 9110 15.3.6).
bool frame_reset(const Response& response, const Framing& framing, Plan& plan) noexcept {
    if (!response.content().empty() || framing.chunked() || framing.length() > 0) return false;
    plan.add_length = !framing.has_length();
    return true;
}

bool is_empty(int status, std::string_view method) noexcept {
    return status < 200 || status == 204 || status == 304 || method == "HEAD" ||
           (method == "CONNECT" && status < 300);
}

void plan_connection(const Response& response, const ResponseContext& answered,
                     const Framing& framing, Plan& plan) noexcept {
    if (response.status() < 200 || plan.following.framing == ContentFraming::tunnel) {
        plan.following.keep_alive = true;  // another response, or a tunnel, follows
        return;
    }
    const bool closes = !framing.keeps_alive(Version::http_1_1);  // the fields say so already
    const bool keep =
        answered.keep_alive && !closes && plan.following.framing != ContentFraming::until_close;
    plan.following.keep_alive = keep;
    const bool old =
        answered.version == Version::http_1_0 || response.version() == Version::http_1_0;
    if (!keep && !closes) plan.add_connection = "close";
    if (keep && old && !framing.keeps_alive(Version::http_1_0)) plan.add_connection = "keep-alive";
}

bool plan_response(const Response& response, const ResponseContext& answered, Payload payload,
                   Plan& plan) noexcept {
    Framing framing;
    bool has_date = false;
    if (!understand(response.headers(), framing, has_date)) return false;
    const bool chunks =
        response.version() == Version::http_1_1 && answered.version == Version::http_1_1;
    if (response.status() == 205 && answered.method != "CONNECT") {
        if (!frame_reset(response, framing, plan)) return false;
    } else if (is_empty(response.status(), answered.method)) {
        if (!frame_empty(response, answered, payload, framing, plan)) return false;
        plan.drop_codings = framing.chunked() && !chunks;
    } else if (payload == Payload::attached) {
        if (!frame_attached(response, framing, plan)) return false;
    } else {
        frame_streamed(framing, chunks, plan);
    }
    if (response.status() >= 200 && !has_date) plan.add_date = answered.date;  // RFC 9110 6.6.1
    plan_connection(response, answered, framing, plan);
    return true;
}

// True if the plan changes no field in two ways, and announces one framing.
[[maybe_unused]] bool is_consistent(const Plan& plan) noexcept {
    const FollowingMessage& following = plan.following;
    return !(plan.add_length && plan.drop_length) && !(plan.add_codings && plan.drop_codings) &&
           !(plan.add_length && plan.add_codings) &&
           (following.framing != ContentFraming::length || following.length > 0) &&
           (following.framing != ContentFraming::until_close || !following.keep_alive);
}

// Appends to a text whose memory suffices. A std::string would check that for each of the many
// short parts of a head.
class Appender {
public:
    explicit Appender(char* to) noexcept : at_(to) {}

    Appender& operator<<(std::string_view text) noexcept {
        if (!text.empty()) std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
        return *this;
    }
    Appender& operator<<(std::uint64_t number) noexcept {
        constexpr int kDecimalDigits = std::numeric_limits<std::uint64_t>::digits10 + 1;
        at_ = std::to_chars(at_, at_ + kDecimalDigits, number).ptr;
        return *this;
    }
    const char* end() const noexcept { return at_; }

private:
    char* at_;
};

void append_fields(const Headers& headers, const Plan& plan, Appender& head) noexcept {
    DCHECK(is_consistent(plan));
    if (!plan.drop_length && !plan.drop_codings) {
        head << headers.text();
    } else {
        for (std::size_t index = 0; index < headers.size(); ++index) {
            const std::string_view name = headers[index].name;
            if (plan.drop_length && same_name(name, kLength)) continue;
            if (plan.drop_codings && same_name(name, kCodings)) continue;
            head << headers.line(index);
        }
    }
    if (plan.add_length) head << kLength << ": " << plan.following.length << kLineEnd;
    if (plan.add_codings) head << kCodings << ": chunked" << kLineEnd;
    if (!plan.add_date.empty()) head << kDate << ": " << plan.add_date << kLineEnd;
    if (!plan.add_connection.empty())
        head << kConnection << ": " << plan.add_connection << kLineEnd;
    head << kLineEnd;
}

// The longest text around the parts that are given.
constexpr std::size_t kAdded =
    std::string_view(
        " HTTP/1.1 999  \r\nContent-Length: 18446744073709551615\r\n"
        "Transfer-Encoding: chunked\r\nDate: \r\nConnection: keep-alive\r\n\r\n")
        .size();

// Replaces `out` by what `append` appends, at most `size` bytes.
template <class Append>
std::error_code filled(std::string& out, std::size_t size, Append append) noexcept {
    try {
        out.resize(size);
    } catch (const std::bad_alloc&) {
        out.clear();
        return Errc::not_enough_memory;
    }
    Appender appender(out.data());
    append(appender);
    const auto used = static_cast<std::size_t>(appender.end() - out.data());
    DCHECK(used <= size);
    out.resize(used);
    return {};
}

// True if our own strict parser accepts the head. For DCHECK only: parsing takes longer than
// writing. Accepts heads of more lines than `room` holds without parsing, to need no memory.
[[maybe_unused]] bool is_accepted(const std::string& head, const std::string_view* answered) {
    constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
    std::array<FieldSlice, 256> room;
    if (std::count(head.begin(), head.end(), '\n') > std::ssize(room)) return true;
    const Limits limits{.start_line = kNone, .field = kNone, .head = kNone, .fields = kNone};
    if (answered == nullptr) {
        RequestParser parser(room, limits);
        return parser.parse(head).consumed == head.size();
    }
    ResponseParser parser(room, limits);
    parser.reset(*answered);
    return parser.parse(head).consumed == head.size();
}

}  // namespace

std::error_code write_head(const Request& request, Payload payload, std::string& head,
                           FollowingMessage& following) noexcept {
    head.clear();
    Plan plan;
    if (!plan_request(request, payload, plan)) return ArgumentErrc::invalid_message;
    const std::size_t size = request.method().size() + request.target().size() +
                             request.headers().text().size() + kAdded;
    const auto error = filled(head, size, [&](Appender& out) {
        out << request.method() << " " << request.target() << " ";
        out << text_of(request.version()) << kLineEnd;
        append_fields(request.headers(), plan, out);
    });
    if (error) return error;
    DCHECK(is_accepted(head, nullptr));
    following = plan.following;
    return {};
}

std::error_code write_head(const Response& response, const ResponseContext& answered,
                           Payload payload, std::string& head,
                           FollowingMessage& following) noexcept {
    head.clear();
    Plan plan;
    if (!plan_response(response, answered, payload, plan)) return ArgumentErrc::invalid_message;
    const std::string_view reason = response.reason();
    const std::size_t size =
        reason.size() + response.headers().text().size() + answered.date.size() + kAdded;
    const auto error = filled(head, size, [&](Appender& out) {
        const int status = response.status();
        const char digits[] = {digit(status / 100), digit(status / 10 % 10), digit(status % 10)};
        out << text_of(response.version()) << " " << std::string_view(digits, sizeof digits) << " ";
        out << reason << kLineEnd;
        append_fields(response.headers(), plan, out);
    });
    if (error) return error;
    DCHECK(is_accepted(head, &answered.method));
    following = plan.following;
    return {};
}

std::error_code complete_head(std::string_view begun, std::string_view date,
                              std::string& head) noexcept {
    DCHECK(begun.ends_with(kLineEnd));
    constexpr std::size_t kAround = std::string_view("Date: \r\n\r\n").size();
    return filled(head, begun.size() + date.size() + kAround, [&](Appender& out) {
        out << begun << kDate << ": " << date << kLineEnd << kLineEnd;
    });
}

std::error_code write_trailer(const Headers& trailer, bool first, std::string& out) noexcept {
    // RFC 9110 6.5.1 names the groups; these are their members that a recipient might act upon.
    constexpr std::string_view kForbidden[] = {
        "content-length",   "transfer-encoding",
        "trailer",          "host",
        "connection",       "content-encoding",
        "content-type",     "content-range",
        "authorization",    "set-cookie",
        "www-authenticate", "proxy-authorization",
        "cookie",           "te",
        "upgrade",          "keep-alive",
        "expect",           "max-forwards",
        "cache-control",    "proxy-authenticate",
    };
    out.clear();
    for (const auto [name, value] : trailer) {
        const auto is_this = [name = name](std::string_view other) {
            return same_name(name, other);
        };
        if (std::ranges::any_of(kForbidden, is_this)) return ArgumentErrc::invalid_trailer;
    }
    std::string_view last = first ? kOnlyChunk : kLastChunk;
    last.remove_suffix(kLineEnd.size());
    DCHECK(last.ends_with("0\r\n"));
    return filled(out, last.size() + trailer.text().size() + kLineEnd.size(),
                  [&](Appender& text) { text << last << trailer.text() << kLineEnd; });
}

}  // namespace uaio::http
