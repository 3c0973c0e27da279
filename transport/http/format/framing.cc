#include "transport/http/format/framing.h"

#include "base/check.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"

#include <algorithm>
#include <iterator>

namespace uaio::http {

HttpErrc Framing::take_known(std::string_view name, std::string_view value,
                             std::uint32_t index) noexcept {
    DCHECK(trimmed(value).size() == value.size());
    switch (name.size()) {
        case 4: return token_is(name, "host") ? accept_host(value, index) : kFine;
        case 6:
            if (token_is(name, "expect")) accept_expect(value);
            return kFine;
        case 7:
            if (token_is(name, "upgrade")) upgrade_field_ = true;
            return kFine;
        case 10: return token_is(name, "connection") ? accept_connection(value) : kFine;
        case 14: return token_is(name, "content-length") ? accept_length(value) : kFine;
        case 17: return token_is(name, "transfer-encoding") ? accept_codings(value) : kFine;
        default: return kFine;
    }
}

bool Framing::knows(std::string_view name) noexcept {
    constexpr std::string_view kNames[] = {"host",       "expect",         "upgrade",
                                           "connection", "content-length", "transfer-encoding"};
    static_assert(std::ranges::all_of(kNames, &Framing::may_matter));
    static_assert(kFirstLetters.size() - std::ranges::count(kFirstLetters, '_') ==
                  std::size(kNames));
    for (const std::string_view known : kNames) {
        if (same_name(name, known)) return true;
    }
    return false;
}

// RFC 9110 8.6 lets a recipient treat equal numbers as one. A sender that repeats the field is
// broken at best, and recipients before and after this one may choose different numbers.
HttpErrc Framing::accept_length(std::string_view value) noexcept {
    if (strictness_ == Strictness::lenient) return take_lengths(value);
    if (has_length_) return HttpErrc::repeated_content_length;
    const auto length = parse_length(value);
    if (!length) return HttpErrc::bad_content_length;
    length_ = *length;
    has_length_ = true;
    return kFine;
}

// Treats equal numbers as one, in one line or in several: a stricter client would lose the
// response.
HttpErrc Framing::take_lengths(std::string_view value) noexcept {
    if (value.empty()) return HttpErrc::bad_content_length;
    std::string_view element;
    while (next_element(value, element)) {
        const auto length = parse_length(element);
        if (!length) return HttpErrc::bad_content_length;
        if (has_length_ && *length != length_) return HttpErrc::repeated_content_length;
        length_ = *length;
        has_length_ = true;
    }
    return kFine;
}

// Codings are listed in the order of their application: chunked must be the last one, and occur
// once, or the recipient cannot find the end (RFC 9112 6.1). Several lines form one list.
HttpErrc Framing::accept_codings(std::string_view value) noexcept {
    has_codings_ = true;
    std::string_view coding;
    while (next_element(value, coding)) {
        if (chunked_) return HttpErrc::bad_transfer_encoding;
        const std::string_view name = trimmed(coding.substr(0, coding.find(';')));
        if (!is_token(name)) return HttpErrc::bad_transfer_encoding;
        if (!same_name(name, "chunked")) {
            unknown_coding_ = true;
            continue;
        }
        if (coding.size() != name.size()) return HttpErrc::bad_transfer_encoding;  // parameters
        chunked_ = true;
    }
    return kFine;
}

// A list element that is no token could hide a "close" that another recipient sees.
HttpErrc Framing::accept_connection(std::string_view value) noexcept {
    std::string_view option;
    while (next_element(value, option)) {
        if (!all_are(kToken, option)) {
            if (strictness_ == Strictness::strict) return HttpErrc::bad_connection;
            close_ = true;  // the message is readable, but the connection is not reused
            continue;
        }
        if (same_name(option, "close")) close_ = true;
        if (same_name(option, "keep-alive")) keep_alive_ = true;
        if (same_name(option, "upgrade")) upgrade_option_ = true;
    }
    return kFine;
}

HttpErrc Framing::accept_host(std::string_view value, std::uint32_t index) noexcept {
    // A client without an authority must send an empty Host (RFC 9112 3.2).
    if (has_host_ || (!value.empty() && !is_host(value))) return HttpErrc::bad_host;
    has_host_ = true;
    host_ = index;
    return kFine;
}

void Framing::accept_expect(std::string_view value) noexcept {
    std::string_view expectation;
    while (next_element(value, expectation)) {
        if (same_name(expectation, "100-continue")) {
            expect_continue_ = true;
        } else if (!expectation.empty()) {
            unknown_expectation_ = true;
        }
    }
}

HttpErrc Framing::contradiction(Version version) const noexcept {
    if (!has_codings_) return kFine;
    // RFC 9112 6.1: an HTTP/1.0 message with codings has faulty framing.
    if (version == Version::http_1_0) return HttpErrc::bad_transfer_encoding;
    if (has_length_) return HttpErrc::conflicting_framing;
    if (unknown_coding_) return HttpErrc::unsupported_transfer_coding;
    return chunked_ ? kFine : HttpErrc::bad_transfer_encoding;
}

HttpErrc Framing::end_request(std::string_view method, Version version,
                              ContentFraming& framing) const noexcept {
    if (!has_host_ && version == Version::http_1_1) return HttpErrc::bad_host;
    if (const HttpErrc fault = contradiction(version); fault != kFine) return fault;
    framing = has_codings_  ? ContentFraming::chunked
              : length_ > 0 ? ContentFraming::length
                            : ContentFraming::none;
    // A recipient would read content on CONNECT as bytes of the tunnel, and TRACE must not have any
    // (RFC 9110 9.3.6, 9.3.8).
    if (framing != ContentFraming::none && (method == "CONNECT" || method == "TRACE"))
        return HttpErrc::conflicting_framing;
    if (method == "CONNECT") framing = ContentFraming::tunnel;
    return kFine;
}

HttpErrc Framing::end_response(std::string_view method, Version version, int status,
                               ContentFraming& framing) const noexcept {
    if (const HttpErrc fault = contradiction(version); fault != kFine) return fault;
    // Follows the order of RFC 9112 6.3, except that 204 accepts CONNECT like every other 2xx (9110
    // 9.3.6).
    if (status == 101 || (status / 100 == 2 && method == "CONNECT")) {
        framing = ContentFraming::tunnel;
    } else if (status < 200 || status == 204 || status == 304 || method == "HEAD") {
        framing = ContentFraming::none;
    } else if (has_codings_) {
        framing = ContentFraming::chunked;
    } else if (has_length_) {
        framing = length_ > 0 ? ContentFraming::length : ContentFraming::none;
    } else {
        framing = ContentFraming::until_close;
    }
    return kFine;
}

}  // namespace uaio::http
