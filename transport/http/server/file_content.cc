#include "transport/http/server/file_content.h"

#include "base/check.h"
#include "transport/http/format/date.h"
#include "transport/http/format/syntax.h"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace uaio::http {
namespace {

// True if the list of entity tags contains this one, or is "*". `weak` selects weak comparison (RFC
// 9110 13.1.2); If-Match uses strong comparison, which a weak tag never satisfies.
bool names_tag(std::string_view list, std::string_view tag, bool weak) noexcept {
    std::string_view element;
    while (next_element(list, element)) {
        if (element == "*") return true;
        if (weak && element.starts_with("W/")) element.remove_prefix(2);
        if (element == tag) return true;
    }
    return false;
}

// Returns the status of the first false condition, in the order of RFC 9110 13.2.2, or 200.
int check_conditions(const Headers& fields, std::string_view tag, std::int64_t modified) noexcept {
    if (const auto match = fields.get("If-Match")) {
        if (!names_tag(*match, tag, false)) return 412;
    } else if (const auto since = fields.get("If-Unmodified-Since")) {
        const auto date = parse_date(*since);
        if (date && modified > *date) return 412;
    }
    if (const auto none = fields.get("If-None-Match")) {
        if (names_tag(*none, tag, true)) return 304;
    } else if (const auto since = fields.get("If-Modified-Since")) {
        const auto date = parse_date(*since);
        if (date && modified <= *date) return 304;
    }
    return 200;
}

// If-Range: a range is sent only if the client has the rest of the same representation (RFC 9110
// 13.1.5). A date must match exactly, in any format.
bool is_unchanged(std::string_view validator, std::string_view tag,
                  std::int64_t modified) noexcept {
    const bool is_tag = validator.starts_with('"') || validator.starts_with("W/");
    return is_tag ? validator == tag : parse_date(validator) == modified;
}

// Parses a position or length of a range. A number too large for 64 bits is past the end of every
// file (RFC 9110 14.1.2).
std::optional<std::uint64_t> parse_position(std::string_view text) noexcept {
    const auto number = parse_length(text);
    if (number || text.empty() || !all_are(kDigit, text)) return number;
    return std::numeric_limits<std::uint64_t>::max();
}

// Parses one range of bytes; ignores several, and other units, as RFC 9110 14.2 allows.
enum class Range { none, satisfied, unsatisfiable };

Range parse_range(std::string_view value, FilePart& part, std::uint64_t size) noexcept {
    constexpr std::string_view kUnit = "bytes=";
    if (value.size() < kUnit.size() || !same_name(value.substr(0, kUnit.size()), kUnit)) {
        return Range::none;
    }
    value.remove_prefix(kUnit.size());
    const std::size_t dash = value.find('-');
    if (dash == std::string_view::npos || value.find(',') != std::string_view::npos) {
        return Range::none;
    }
    const std::string_view first = trimmed(value.substr(0, dash));
    const std::string_view last = trimmed(value.substr(dash + 1));
    const auto begin = parse_position(first);
    const auto end = parse_position(last);
    if ((!first.empty() && !begin) || (!last.empty() && !end)) return Range::none;
    if (first.empty()) {  // the last bytes
        if (!end) return Range::none;
        if (*end == 0 || size == 0) return Range::unsatisfiable;
        part.size = std::min(*end, size);
        part.offset = size - part.size;
        return Range::satisfied;
    }
    if (end && *end < *begin) return Range::none;
    if (*begin >= size) return Range::unsatisfiable;
    part.offset = *begin;
    part.size = (end ? std::min(*end, size - 1) : size - 1) - *begin + 1;
    return Range::satisfied;
}

}  // namespace

std::error_code choose_part(const Request& request, const FileState& file, Response& response,
                            FilePart& part) noexcept {
    char tag[64];
    std::snprintf(tag, sizeof tag, "\"%llx-%llx-%x\"", static_cast<unsigned long long>(file.size),
                  static_cast<unsigned long long>(file.modified), file.modified_ns);
    const DateText date = format_date(has_date(file.modified) ? file.modified : 0);
    const std::string_view modified(date.data(), date.size());
    Headers& out = response.headers();
    if (const auto error = out.set("ETag", tag)) return error;
    if (has_date(file.modified)) {
        if (const auto error = out.set("Last-Modified", modified)) return error;
    }
    if (const auto error = out.set("Accept-Ranges", "bytes")) return error;

    const Headers& fields = request.headers();
    part = {.status = check_conditions(fields, tag, file.modified), .offset = 0, .size = file.size};
    if (part.status != 200) {
        part.size = 0;
        return {};
    }
    const auto range = fields.get("Range");
    if (!range || request.method() != "GET") return {};
    if (const auto condition = fields.get("If-Range")) {
        if (!is_unchanged(*condition, tag, file.modified)) return {};
    }
    char content_range[96];
    switch (parse_range(*range, part, file.size)) {
        case Range::none: return {};
        case Range::satisfied:
            DCHECK(part.size > 0 && part.offset < file.size);
            DCHECK(part.size <= file.size - part.offset);
            part.status = 206;
            std::snprintf(content_range, sizeof content_range, "bytes %llu-%llu/%llu",
                          static_cast<unsigned long long>(part.offset),
                          static_cast<unsigned long long>(part.offset + part.size - 1),
                          static_cast<unsigned long long>(file.size));
            break;
        case Range::unsatisfiable:
            part = {.status = 416, .offset = 0, .size = 0};
            std::snprintf(content_range, sizeof content_range, "bytes */%llu",
                          static_cast<unsigned long long>(file.size));
            break;
    }
    return out.set("Content-Range", content_range);
}

}  // namespace uaio::http
