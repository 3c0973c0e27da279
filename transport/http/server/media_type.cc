#include <uaio/http_files.h>

#include <algorithm>
#include <array>

namespace uaio::http {
namespace {

struct Type {
    std::string_view ending;
    std::string_view type;
};

// Common types of web servers; sorted. Text is UTF-8.
constexpr std::array kTypes = {
    Type{"avif", "image/avif"},
    Type{"bin", "application/octet-stream"},
    Type{"css", "text/css; charset=utf-8"},
    Type{"csv", "text/csv; charset=utf-8"},
    Type{"gif", "image/gif"},
    Type{"gz", "application/gzip"},
    Type{"htm", "text/html; charset=utf-8"},
    Type{"html", "text/html; charset=utf-8"},
    Type{"ico", "image/vnd.microsoft.icon"},
    Type{"jpeg", "image/jpeg"},
    Type{"jpg", "image/jpeg"},
    Type{"js", "text/javascript; charset=utf-8"},
    Type{"json", "application/json"},
    Type{"md", "text/markdown; charset=utf-8"},
    Type{"mjs", "text/javascript; charset=utf-8"},
    Type{"mp3", "audio/mpeg"},
    Type{"mp4", "video/mp4"},
    Type{"oga", "audio/ogg"},
    Type{"ogg", "audio/ogg"},
    Type{"ogv", "video/ogg"},
    Type{"otf", "font/otf"},
    Type{"pdf", "application/pdf"},
    Type{"png", "image/png"},
    Type{"svg", "image/svg+xml"},
    Type{"tar", "application/x-tar"},
    Type{"tif", "image/tiff"},
    Type{"tiff", "image/tiff"},
    Type{"ttf", "font/ttf"},
    Type{"txt", "text/plain; charset=utf-8"},
    Type{"wasm", "application/wasm"},
    Type{"wav", "audio/wav"},
    Type{"webm", "video/webm"},
    Type{"webp", "image/webp"},
    Type{"woff", "font/woff"},
    Type{"woff2", "font/woff2"},
    Type{"xhtml", "application/xhtml+xml"},
    Type{"xml", "application/xml"},
    Type{"zip", "application/zip"},
};
static_assert(std::ranges::is_sorted(kTypes, {}, &Type::ending));

constexpr std::size_t kLongest = 5;
static_assert(std::ranges::max(kTypes, {}, [](const Type& type) {
                  return type.ending.size();
              }).ending.size() == kLongest);

}  // namespace

std::string_view media_type(std::string_view name) noexcept {
    constexpr std::string_view kUnknown = "application/octet-stream";
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || name.size() - dot - 1 > kLongest) return kUnknown;
    std::array<char, kLongest> lower;
    std::size_t size = 0;
    for (const char c : name.substr(dot + 1)) {
        lower[size++] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    const std::string_view ending(lower.data(), size);
    const auto found = std::ranges::lower_bound(kTypes, ending, {}, &Type::ending);
    return found != kTypes.end() && found->ending == ending ? found->type : kUnknown;
}

}  // namespace uaio::http
