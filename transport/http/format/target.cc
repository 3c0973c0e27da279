#include "transport/http/format/target.h"

#include <uaio/argument_error.h>
#include <uaio/error.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"

#include <algorithm>
#include <new>

namespace uaio::http {
namespace {

constexpr std::string_view kRoot = "/";
constexpr std::string_view kEncodedSlash = "%2F";

// At most five digits, leading zeros included, and at most 65535; may be empty.
bool is_port(std::string_view text) noexcept {
    if (text.size() > 5) return false;
    unsigned number = 0;
    for (const char digit : text) {
        if (!is(kDigit, digit)) return false;
        number = number * 10 + static_cast<unsigned>(digit - '0');
    }
    return number <= 65535;
}

// reg-name or IPv4address of RFC 3986 3.2.2, with percent-encoded bytes.
bool is_registered_name(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (is(kName, text[at])) continue;
        if (text[at] != '%' || text.size() - at < 3) return false;
        if (!is(kHexDigit, text[at + 1]) || !is(kHexDigit, text[at + 2])) return false;
        at += 2;
    }
    return !text.empty();
}

// Four dec-octets, 0 to 255 without leading zeros, with dots between.
bool is_ipv4(std::string_view text) noexcept {
    for (int left = 4; left > 0; --left) {
        const std::size_t size = left > 1 ? text.find('.') : text.size();
        if (size == text.npos || size == 0 || size > 3) return false;
        unsigned number = 0;
        for (const char digit : text.substr(0, size)) {
            if (!is(kDigit, digit)) return false;
            number = number * 10 + static_cast<unsigned>(digit - '0');
        }
        if (number > 255 || (size > 1 && text.front() == '0')) return false;
        text.remove_prefix(left > 1 ? size + 1 : size);
    }
    return true;
}

// Counts the 16-bit groups on one side of "::", or in a whole address. An IPv4 address at the end
// counts as two; empty text has none. -1 if the text is invalid.
int count_groups(std::string_view text, bool to_the_end) noexcept {
    if (text.empty()) return 0;
    int groups = 0;
    for (;;) {
        const std::size_t colon = text.find(':');
        const std::string_view group = text.substr(0, colon);
        const bool last = colon == text.npos;
        if (last && to_the_end && is_ipv4(group)) return groups + 2;
        if (group.empty() || group.size() > 4 || !all_are(kHexDigit, group)) return -1;
        if (++groups > 8) return -1;
        if (last) return groups;
        text.remove_prefix(colon + 1);
    }
}

bool is_ipv6(std::string_view text) noexcept {
    const std::size_t gap = text.find("::");
    if (gap == text.npos) return count_groups(text, true) == 8;
    const int before = count_groups(text.substr(0, gap), false);
    const int behind = count_groups(text.substr(gap + 2), true);
    return before >= 0 && behind >= 0 && before + behind <= 7;
}

// True for an IPv6address or IPvFuture of RFC 3986 3.2.2, without its brackets.
bool is_bracketed(std::string_view text) noexcept {
    if (text.empty() || (text.front() | 0x20) != 'v') return is_ipv6(text);
    const std::size_t dot = text.find('.');
    if (dot == text.npos || dot < 2 || dot + 1 == text.size()) return false;
    if (!all_are(kHexDigit, text.substr(1, dot - 1))) return false;
    return std::ranges::all_of(text.substr(dot + 1), [](char character) {
        return is(kName, character) || character == ':';
    });
}

// Splits off the host, with its brackets, and the port, with its colon. False if the text is no
// host with an optional port.
bool split_host(std::string_view text, std::string_view& host, std::string_view& port) noexcept {
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == text.npos || !is_bracketed(text.substr(1, end - 1))) return false;
        host = text.substr(0, end + 1);
        port = text.substr(end + 1);
        if (!port.empty() && port.front() != ':') return false;
    } else {
        const std::size_t colon = text.find(':');
        host = text.substr(0, colon);
        port = colon == text.npos ? std::string_view() : text.substr(colon);
        if (!is_registered_name(host)) return false;
    }
    return is_port(port.empty() ? port : port.substr(1));
}

// The length of "scheme://" at the front, 0 if there is none.
std::size_t scheme_size(std::string_view text) noexcept {
    const std::size_t colon = text.find(':');
    if (colon == text.npos || colon == 0 || text.substr(colon, 3) != "://") return 0;
    const char first = static_cast<char>(text[0] | 0x20);
    if (first < 'a' || first > 'z') return 0;
    return all_are(kScheme, text.substr(0, colon)) ? colon + 3 : 0;
}

// `text` begins with a slash or a question mark, or is empty.
void split_rest(std::string_view text, Target& out) noexcept {
    const std::size_t mark = text.find('?');
    out.path = text.substr(0, mark);
    out.query = mark == text.npos ? std::string_view() : text.substr(mark + 1);
    if (out.path.empty()) out.path = kRoot;
}

// The path of a URI begins where its host ends.
bool split_absolute(std::string_view target, Target& out) noexcept {
    const std::size_t begin = scheme_size(target);
    if (begin == 0) return false;
    const std::size_t end = std::min(target.find_first_of("/?", begin), target.size());
    out.form = TargetForm::absolute;
    out.host = target.substr(begin, end - begin);
    split_rest(target.substr(end), out);
    return is_host(out.host);
}

bool split_authority(std::string_view target, Target& out) noexcept {
    std::string_view host;
    std::string_view port;
    out = {TargetForm::authority, target, {}, {}};
    return split_host(target, host, port) && port.size() > 1;
}

// Appends the decoded text, an encoded slash as `slash`. False at a bad percent sign. Throws
// std::bad_alloc.
bool append_decoded(std::string_view text, std::string_view slash, std::string& out) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at];
            continue;
        }
        if (text.size() - at < 3) return false;
        if (!is(kHexDigit, text[at + 1]) || !is(kHexDigit, text[at + 2])) return false;
        const unsigned byte = hex_value(text[at + 1]) * 16 + hex_value(text[at + 2]);
        byte == '/' ? out += slash : out += static_cast<char>(byte);
        at += 2;
    }
    return true;
}

// Appends one decoded segment and its slash, or resolves a dot segment. Throws std::bad_alloc.
bool append_segment(std::string_view segment, bool last, std::string& out) {
    DCHECK(out.ends_with('/'));
    const std::size_t begin = out.size();
    if (!append_decoded(segment, kEncodedSlash, out)) return false;
    const std::string_view name = std::string_view(out).substr(begin);
    if (name.find('\0') != name.npos) return false;
    if (name.empty() || name == ".") {
        out.resize(begin);
    } else if (name == "..") {
        out.resize(begin - 1);
        if (out.empty()) return false;
        out.resize(out.rfind('/') + 1);
    } else if (!last) {
        out += '/';
    }
    return true;
}

bool append_path(std::string_view path, std::string& out) {
    out = '/';
    if (path.starts_with('/')) path.remove_prefix(1);
    for (;;) {
        const std::size_t slash = path.find('/');
        if (!append_segment(path.substr(0, slash), slash == path.npos, out)) return false;
        if (slash == path.npos) return true;
        path.remove_prefix(slash + 1);
    }
}

// True for a path without anything to decode or to resolve, as nearly all are.
bool is_normal(std::string_view path) noexcept {
    if (!path.starts_with('/')) return false;
    char before = '\0';
    for (const char character : path) {
        if (character == '%' || character == '\0') return false;
        if (before == '/' && (character == '/' || character == '.')) return false;
        before = character;
    }
    return true;
}

// Runs `append`, and converts its failure into an error that leaves `out` empty.
template <class Append>
std::error_code filled(std::string& out, Append append) noexcept {
    out.clear();
    try {
        if (append()) return {};
        out.clear();
        return Errc::invalid_argument;
    } catch (const std::bad_alloc&) {
        out.clear();
        return Errc::not_enough_memory;
    }
}

}  // namespace

bool is_host(std::string_view text) noexcept {
    // Fast path: nearly every host is a plain name with an optional port, and every request has
    // one.
    std::size_t at = 0;
    const auto classes = [text](std::size_t place) {
        return kCharacters[static_cast<unsigned char>(text[place])];
    };
    while (text.size() - at >= 4 &&
           (classes(at) & classes(at + 1) & classes(at + 2) & classes(at + 3) & kName) != 0)
        at += 4;
    while (at < text.size() && is(kName, text[at]))
        ++at;
    if (at == text.size()) return at > 0;
    if (text[at] == ':' && at > 0) return is_port(text.substr(at + 1));
    std::string_view host;
    std::string_view port;
    return split_host(text, host, port);
}

void split_path(std::string_view target, Target& out) noexcept {
    DCHECK(target.starts_with('/'));
    out.form = TargetForm::origin;
    out.host = {};
    split_rest(target, out);
}

bool split_target(std::string_view method, std::string_view target, Target& out) noexcept {
    return !target.empty() && all_are(kTarget, target) && split_visible_target(method, target, out);
}

bool split_visible_target(std::string_view method, std::string_view target, Target& out) noexcept {
    DCHECK(!target.empty());
    out = {};
    if (method == kConnect) return split_authority(target, out);
    if (target.front() == '/') {
        split_path(target, out);
        return true;
    }
    if (target == "*") {
        out = {TargetForm::asterisk, {}, target, {}};
        return method == "OPTIONS";
    }
    return split_absolute(target, out);
}

std::error_code parse_url(std::string_view url, Url& out) noexcept {
    url = url.substr(0, url.find('#'));
    const std::size_t begin = scheme_size(url);
    const std::string_view scheme = url.substr(0, begin == 0 ? 0 : begin - 3);
    out.secure = same_name(scheme, "https") || same_name(scheme, "wss");
    if (!out.secure && !same_name(scheme, "http") && !same_name(scheme, "ws"))
        return ArgumentErrc::invalid_url;
    const std::size_t end = std::min(url.find_first_of("/?", begin), url.size());
    std::string_view port;
    out.authority = url.substr(begin, end - begin);
    out.target = url.substr(end);
    if (!split_host(out.authority, out.host, port)) return ArgumentErrc::invalid_url;
    if (!all_are(kTarget, out.target)) return ArgumentErrc::invalid_url;
    DCHECK(!out.host.empty() && (port.empty() || port.front() == ':'));
    const std::uint16_t usual = out.secure ? 443 : 80;
    const auto number = parse_length(port.empty() ? port : port.substr(1));
    out.port = number ? static_cast<std::uint16_t>(*number) : usual;
    if (out.port == 0) return ArgumentErrc::invalid_url;
    if (out.port == usual) out.authority = out.host;
    if (out.host.front() == '[') out.host = out.host.substr(1, out.host.size() - 2);
    return {};
}

std::error_code percent_decode(std::string_view text, std::string& out) noexcept {
    return filled(out, [&] { return append_decoded(text, "/", out); });
}

bool has_encoded_slash(std::string_view path) noexcept {
    for (std::size_t at = path.find("%2"); at != path.npos; at = path.find("%2", at + 1)) {
        if (at + 2 < path.size() && (path[at + 2] | 0x20) == 'f') return true;
    }
    return false;
}

std::error_code normalise_path(std::string_view path, std::string& out) noexcept {
    return filled(out, [&] {
        if (!is_normal(path)) return append_path(path, out);
        out = path;
        return true;
    });
}

}  // namespace uaio::http
