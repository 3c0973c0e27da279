#include "transport/http/client/reference.h"

#include <uaio/error.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"

#include <new>
#include <stdexcept>

namespace uaio::http {
namespace {

// The parts of RFC 3986 3, each with its delimiter, to distinguish a missing part from an empty
// one: "scheme:", "//authority", "path", "?query", "#fragment".
struct Parts {
    std::string_view scheme;
    std::string_view authority;
    std::string_view path;
    std::string_view query;
    std::string_view fragment;
};

std::string_view take(std::string_view& text, std::size_t size) noexcept {
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(taken.size());
    return taken;
}

bool is_scheme(std::string_view text) noexcept {
    const char first = text.empty() ? '\0' : static_cast<char>(text.front() | 0x20);
    return first >= 'a' && first <= 'z' && all_are(kScheme, text);
}

Parts split(std::string_view text) noexcept {
    Parts parts;
    const std::size_t colon = text.find(':');
    if (colon != text.npos && is_scheme(text.substr(0, colon))) {
        parts.scheme = take(text, colon + 1);
    }
    if (text.starts_with("//")) parts.authority = take(text, text.find_first_of("/?#", 2));
    parts.path = take(text, text.find_first_of("?#"));
    parts.query = take(text, text.find('#'));
    parts.fragment = text;
    return parts;
}

// Removes the last segment after `begin`, and its slash.
void remove_segment(std::string& out, std::size_t begin) noexcept {
    DCHECK(begin <= out.size());
    const std::size_t slash = out.rfind('/');
    out.resize(slash == out.npos || slash < begin ? begin : slash);
}

// RFC 3986 5.2.4: appends `path` without its "." and ".." segments.
void append_without_dots(std::string_view path, std::string& out) {
    const std::size_t begin = out.size();
    while (!path.empty()) {
        if (path.starts_with("../")) {
            path.remove_prefix(3);
        } else if (path.starts_with("./")) {
            path.remove_prefix(2);
        } else if (path.starts_with("/./")) {
            path.remove_prefix(2);
        } else if (path == "/.") {
            path = "/";
        } else if (path.starts_with("/../")) {
            path.remove_prefix(3);
            remove_segment(out, begin);
        } else if (path == "/..") {
            path = "/";
            remove_segment(out, begin);
        } else if (path == "." || path == "..") {
            return;
        } else {
            out += take(path, path.find('/', 1));
        }
    }
}

// RFC 3986 5.2.3: the directory that the reference's path is appended to.
std::string_view directory_of(const Parts& base) noexcept {
    if (!base.authority.empty() && base.path.empty()) return "/";
    return base.path.substr(0, base.path.rfind('/') + 1);
}

void encode(std::string& text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte < 0x80) continue;
        const char digits[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
        text.replace(at, 1, digits, sizeof digits);
        at += sizeof digits - 1;
    }
}

void resolve(const Parts& base, const Parts& reference, std::string& out) {
    const bool absolute = !reference.scheme.empty();
    out = absolute ? reference.scheme : base.scheme;
    if (absolute || !reference.authority.empty()) {
        out += reference.authority;
        append_without_dots(reference.path, out);
        out += reference.query;
    } else if (reference.path.empty()) {
        out.append(base.authority).append(base.path);
        out += reference.query.empty() ? base.query : reference.query;
    } else {
        out += base.authority;
        if (reference.path.starts_with('/')) {
            append_without_dots(reference.path, out);
        } else {
            append_without_dots(std::string(directory_of(base)).append(reference.path), out);
        }
        out += reference.query;
    }
    out += reference.fragment;
    encode(out);
}

}  // namespace

std::error_code resolve_reference(std::string_view base, std::string_view reference,
                                  std::string& out) noexcept {
    try {
        resolve(split(base), split(reference), out);
        return {};
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    } catch (const std::length_error&) {
        return Errc::not_enough_memory;
    }
}

}  // namespace uaio::http
