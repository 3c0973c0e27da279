#include "transport/http/server/location.h"

#include <uaio/error.h>

#include "base/check.h"
#include "transport/http/format/target.h"

#include <algorithm>
#include <new>

namespace uaio::http {
namespace {

// unreserved, sub-delims, ":", "@" (RFC 3986 3.3) and the slash. No backslash: browsers treat it as
// a slash, so "/\host" leads to another host.
constexpr std::string_view kPath =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$&'()*+,;=:@";

void append_encoded(std::string_view text, bool is_encoded, std::string& out) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    for (const char byte : text) {
        if (kPath.find(byte) != std::string_view::npos || (is_encoded && byte == '%')) {
            out += byte;
            continue;
        }
        const auto value = static_cast<unsigned char>(byte);
        out += '%';
        out += kDigits[value >> 4];
        out += kDigits[value & 15];
    }
}

// Returns the text before the first `mark`; `tail` is the rest, including the mark.
std::string_view cut(std::string_view text, char mark, std::string_view& tail) noexcept {
    const std::size_t at = std::min(text.find(mark), text.size());
    tail = text.substr(at);
    return text.substr(0, at);
}

}  // namespace

std::string encode_path(std::string_view path) {
    std::string out;
    append_encoded(path, false, out);
    return out;
}

std::string encoded_rest(std::string_view raw_path, std::string_view rest) {
    std::string out;  // each segment has its slash before it
    std::string name;
    while (!raw_path.empty()) {
        raw_path.remove_prefix(1);
        const std::size_t size = std::min(raw_path.find('/'), raw_path.size());
        const std::string_view segment = raw_path.substr(0, size);
        raw_path.remove_prefix(size);
        if (percent_decode(segment, name) == Errc::not_enough_memory) throw std::bad_alloc();
        const bool climbs = name == "..";
        if (climbs) out.resize(std::min(out.rfind('/'), out.size()));
        const bool is_name = !name.empty() && name != "." && !climbs;
        if (!is_name && !raw_path.empty()) continue;
        out += '/';
        if (is_name) append_encoded(segment, true, out);
    }
    std::size_t begin = out.size();  // `out` is empty or begins with a slash, found last
    for (auto slashes = std::ranges::count(rest, '/'); slashes > 0 && begin > 0; --slashes)
        begin = out.rfind('/', begin - 1);
    DCHECK(begin == out.size() || (out[begin] == '/' && out.find("//") == out.npos));
    return out.substr(begin);
}

std::string join_location(std::string_view location, std::string_view rest,
                          std::string_view query) {
    DCHECK(rest.empty() || rest.front() == '/');
    std::string_view fragment;
    std::string_view own_query;
    std::string_view path = cut(cut(location, '#', fragment), '?', own_query);
    if (!rest.empty() && path.ends_with('/')) path.remove_suffix(1);
    std::string out;
    out.reserve(location.size() + rest.size() + query.size() + 1);
    out += path;
    out += rest;
    out += own_query;
    if (!query.empty()) {
        if (own_query.empty()) {
            out += '?';
        } else if (own_query.size() > 1 && !own_query.ends_with('&')) {
            out += '&';
        }
        out += query;
    }
    out += fragment;
    return out;
}

}  // namespace uaio::http
