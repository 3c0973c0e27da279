// Reason phrases of the IANA registry of HTTP status codes: RFC 9110 and later additions. 306 and
// 418 are registered as unused and have none.
#include <uaio/http_message.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>

namespace uaio::http {
namespace {

struct Phrase {
    int status;
    std::string_view phrase;
};

constexpr Phrase kPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

constexpr int kFirst = 100;
constexpr int kLast = 511;
static_assert(std::begin(kPhrases)->status == kFirst && std::end(kPhrases)[-1].status == kLast);
static_assert(std::ranges::adjacent_find(kPhrases, std::ranges::greater_equal{}, &Phrase::status) ==
              std::end(kPhrases));

// Indexed by status, since every response needs a phrase.
constexpr auto kByStatus = [] {
    std::array<std::string_view, kLast - kFirst + 1> table{};
    for (const auto& [status, phrase] : kPhrases)
        table[static_cast<std::size_t>(status - kFirst)] = phrase;
    return table;
}();

}  // namespace

std::string_view reason_phrase(int status) noexcept {
    if (status < kFirst || status > kLast) return {};
    return kByStatus[static_cast<std::size_t>(status - kFirst)];
}

}  // namespace uaio::http
