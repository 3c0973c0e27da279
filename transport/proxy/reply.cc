#include "transport/proxy/reply.h"

#include "base/check.h"
#include "transport/http/format/syntax.h"

namespace uaio::proxy {
namespace {

constexpr std::string_view kVersion = "HTTP/1.";

bool begins_as_http(std::string_view bytes) noexcept {
    const std::string_view front = bytes.substr(0, kVersion.size());
    return kVersion.starts_with(front);
}

}  // namespace

ReplyReader::State ReplyReader::fail(ProxyErrc error) noexcept {
    error_ = error;
    return State::failed;
}

ReplyReader::State ReplyReader::read(std::string_view received) {
    if (error_ != ProxyErrc{}) return State::failed;
    DCHECK(line_ <= scanned_ && scanned_ <= received.size());
    // Fails at once: a server of another protocol may be waiting for the client.
    if (lines_ == 0 && !begins_as_http(received)) return fail(ProxyErrc::bad_reply);
    for (;;) {
        const std::size_t end = received.find('\n', scanned_);
        const std::size_t known = end == received.npos ? received.size() : end + 1;
        if (known - line_ > kLineBytes || known > kHeadBytes) {
            return fail(ProxyErrc::reply_too_long);
        }
        scanned_ = known;
        if (end == received.npos) return State::need_more;
        std::string_view line = received.substr(line_, end - line_);
        if (line.ends_with('\r')) line.remove_suffix(1);
        line_ = known;
        if (++lines_ > kLines) return fail(ProxyErrc::reply_too_long);
        if (lines_ == 1) {
            if (!take_status(line)) return fail(ProxyErrc::bad_reply);
            continue;
        }
        if (!line.empty() && http::is(http::kWhiteSpace, line.front()) && !field_.empty()) {
            field_.append(1, ' ').append(http::trimmed(line));
            continue;
        }
        take_field();
        if (line.empty()) return State::complete;
        field_ = line;
    }
}

// The reason phrase, and the space before it, may be missing.
bool ReplyReader::take_status(std::string_view line) noexcept {
    constexpr std::size_t kDigits = kVersion.size() + 2;
    if (!line.starts_with(kVersion) || line.size() < kDigits + 3) return false;
    const std::string_view digits = line.substr(kDigits, 3);
    const char minor = line[kVersion.size()];
    if (!http::is(http::kDigit, minor) || line[kDigits - 1] != ' ') return false;
    if (!http::all_are(http::kDigit, digits)) return false;
    if (line.size() > kDigits + 3 && line[kDigits + 3] != ' ') return false;
    minor_ = minor - '0';
    status_ = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    return status_ >= 100;
}

// Drops a line that is not a field.
void ReplyReader::take_field() {
    const std::size_t colon = field_.find(':');
    if (colon == field_.npos) return;
    const std::string_view name = http::trimmed(std::string_view(field_).substr(0, colon));
    const std::string_view value = http::trimmed(std::string_view(field_).substr(colon + 1));
    if (http::same_name(name, "Proxy-Authenticate")) {
        challenges_.emplace_back(value);
    } else if (http::same_name(name, "Connection") || http::same_name(name, "Proxy-Connection")) {
        close_ |= http::has_element(value, "close");
        keep_alive_ |= http::has_element(value, "keep-alive");
    } else if (http::same_name(name, "Transfer-Encoding")) {
        chunked_ |= http::has_element(value, "chunked");
    } else if (http::same_name(name, "Content-Length")) {
        length_ = http::parse_length(value);
    }
}

}  // namespace uaio::proxy
