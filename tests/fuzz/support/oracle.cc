#include "tests/fuzz/support/oracle.h"

#include "transport/http/format/syntax.h"

#if UAIO_FUZZ_HTTP_PARSER

#include <http_parser.h>

#include <algorithm>
#include <string>

namespace uaio::fuzz {
namespace {

// Replaces each HTAB by the equivalent SP: after a Content-Length (RFC 9110 5.6.3) and before a
// chunk extension (RFC 9112 7.1.1) http-parser accepts only that.
const char* refusal_of(std::string_view message, http_parser_type type) {
    std::string bytes(message);
    std::replace(bytes.begin(), bytes.end(), '\t', ' ');
    http_parser parser;
    http_parser_init(&parser, type);
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    http_parser_execute(&parser, &settings, bytes.data(), bytes.size());
    const http_errno error = HTTP_PARSER_ERRNO(&parser);
    return error == HPE_OK ? nullptr : http_errno_name(error);
}

// True if the head has a field whose name is longer than this one and begins with it.
bool has_longer_field(std::string_view message, std::string_view name) noexcept {
    for (std::size_t at = message.find("\r\n"); at < message.size();
         at = message.find("\r\n", at + 2)) {
        const std::string_view line = message.substr(at + 2);
        if (at > 0 && line.starts_with("\r\n")) return false;
        if (http::same_name(line.substr(0, name.size()), name) &&
            !line.substr(name.size()).starts_with(':'))
            return true;
    }
    return false;
}

// Where http-parser refuses input that RFC 9110 and 9112 allow:
//   methods   it has a fixed list; RFC 9110 9.1 allows any token
//   targets   it has its own rules for schemes and hosts in absolute URLs
//   Transfer-Encoding  it mistakes a field whose name only begins so for that field
bool is_wrong(std::string_view error, std::string_view message) noexcept {
    if (error == "HPE_INVALID_METHOD" || error == "HPE_INVALID_URL") return true;
    return (error == "HPE_INVALID_TRANSFER_ENCODING" || error == "HPE_UNEXPECTED_CONTENT_LENGTH") &&
           has_longer_field(message, "transfer-encoding");
}

const char* justified(const char* error, std::string_view message) noexcept {
    return error && is_wrong(error, message) ? nullptr : error;
}

}  // namespace

bool have_oracle() noexcept { return true; }

const char* refusal_of_request(std::string_view message) noexcept {
    return justified(refusal_of(message, HTTP_REQUEST), message);
}

const char* refusal_of_response_head(std::string_view head) noexcept {
    return justified(refusal_of(head, HTTP_RESPONSE), head);
}

}  // namespace uaio::fuzz

#else

namespace uaio::fuzz {

bool have_oracle() noexcept { return false; }
const char* refusal_of_request(std::string_view) noexcept { return nullptr; }
const char* refusal_of_response_head(std::string_view) noexcept { return nullptr; }

}  // namespace uaio::fuzz

#endif
