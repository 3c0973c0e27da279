// Evaluates the header fields that determine where a message ends and whether the connection
// persists (RFC 9112 sections 6 and 9). Takes fields one by one, and reports each error at its own
// line. Not thread-safe.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_types.h>

#include <cstdint>
#include <string_view>

namespace uaio::http {

// No fault.
inline constexpr HttpErrc kFine{};

// The bytes that follow a head.
enum class ContentFraming {
    none,         // the next message
    length,       // Content-Length bytes of content
    chunked,      // chunks, to the last one and the trailer
    until_close,  // content up to the end of the connection: responses only
    tunnel,       // bytes that are not HTTP: after CONNECT, or after 101
};

// How a recipient treats input that the grammar forbids. Servers and proxies are strict, since
// another recipient may interpret it differently. A client may be lenient: it accepts input with a
// single possible meaning (RFC 9112 2.2, 5.1, 5.2, 6.3).
enum class Strictness : std::uint8_t { strict, lenient };

class Framing {
public:
    void reset(Strictness strictness = Strictness::strict) noexcept {
        *this = Framing();
        strictness_ = strictness;
    }

    // Processes the field at position `index` of the head; returns the fault, or kFine. `name` is a
    // token; `value` has no control characters, and no white space at its ends.
    HttpErrc take(std::string_view name, std::string_view value, std::uint32_t index) noexcept {
        return may_matter(name) ? take_known(name, value, index) : kFine;
    }
    // True if take() evaluates fields of that name.
    static bool knows(std::string_view name) noexcept;

    // At the empty line of a request: sets `framing`; returns the fault, or kFine. HTTP/1.1
    // requires Host.
    HttpErrc end_request(std::string_view method, Version version,
                         ContentFraming& framing) const noexcept;
    // The same for the response to a request with that method.
    HttpErrc end_response(std::string_view method, Version version, int status,
                          ContentFraming& framing) const noexcept;

    bool has_length() const noexcept { return has_length_; }
    std::uint64_t length() const noexcept { return length_; }  // 0 without the field
    bool has_host() const noexcept { return has_host_; }
    std::uint32_t host() const noexcept { return host_; }  // the position of the Host field
    bool chunked() const noexcept { return chunked_; }
    // True if the connection may persist after this message, by the Connection fields alone (RFC
    // 9112 9.3).
    bool keeps_alive(Version version) const noexcept {
        return !close_ && (version == Version::http_1_1 || keep_alive_);
    }
    // True if the Upgrade field is present and listed in Connection (RFC 9110 7.8).
    bool upgrade() const noexcept { return upgrade_field_ && upgrade_option_; }
    bool expect_continue() const noexcept { return expect_continue_; }
    bool unknown_expectation() const noexcept { return unknown_expectation_; }

private:
    // At each index, the first letter of the only relevant field name of that length.
    static constexpr std::string_view kFirstLetters = "____h_eu__c___c__t";
    // Rejects nearly every field with one comparison.
    static constexpr bool may_matter(std::string_view name) noexcept {
        return name.size() < kFirstLetters.size() && !name.empty() &&
               (name.front() | 0x20) == kFirstLetters[name.size()];
    }

    HttpErrc take_known(std::string_view name, std::string_view value,
                        std::uint32_t index) noexcept;
    HttpErrc accept_length(std::string_view value) noexcept;
    HttpErrc take_lengths(std::string_view value) noexcept;
    HttpErrc accept_codings(std::string_view value) noexcept;
    HttpErrc accept_connection(std::string_view value) noexcept;
    HttpErrc accept_host(std::string_view value, std::uint32_t index) noexcept;
    void accept_expect(std::string_view value) noexcept;
    // Framing errors that requests and responses share.
    HttpErrc contradiction(Version version) const noexcept;

    std::uint64_t length_ = 0;
    std::uint32_t host_ = 0;
    bool has_length_ = false;
    bool has_host_ = false;
    bool has_codings_ = false;
    bool chunked_ = false;  // the last coding so far is chunked
    bool unknown_coding_ = false;
    bool close_ = false;
    bool keep_alive_ = false;
    bool upgrade_option_ = false;
    bool upgrade_field_ = false;
    bool expect_continue_ = false;
    bool unknown_expectation_ = false;
    Strictness strictness_ = Strictness::strict;
};

}  // namespace uaio::http
