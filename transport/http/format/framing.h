// What the fields of a head say about where the message ends and what becomes of the connection
// (RFC 9112 sections 6 and 9). Fields are told as they come; each wrong one is noticed at its own
// line. Not thread-safe.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_types.h>

#include <cstdint>
#include <string_view>

namespace uaio::http {

// No fault.
inline constexpr HttpErrc kFine{};

// What follows a head.
enum class Body {
    none,         // the next message
    length,       // as many bytes as Content-Length says
    chunked,      // chunks, to the last one and the trailer
    until_close,  // everything up to the end of the stream: responses only
    tunnel,       // bytes that are not HTTP: after CONNECT, or after 101
};

// How a recipient reads what the grammar forbids. A server, and a proxy, are strict, since another
// recipient may read it differently. A client may be lenient: it reads what can mean one thing only
// (RFC 9112 2.2, 5.1, 5.2, 6.3).
enum class Strictness : std::uint8_t { strict, lenient };

class Framing {
public:
    void reset(Strictness strictness = Strictness::strict) noexcept {
        *this = Framing();
        strictness_ = strictness;
    }

    // Takes notice of a field: `index` is its place in the head. The fault, or kFine. `name` is a
    // token, `value` is without control characters and without white space at its ends.
    HttpErrc take(std::string_view name, std::string_view value, std::uint32_t index) noexcept {
        return may_matter(name) ? take_known(name, value, index) : kFine;
    }
    // True if take() does something with a field of that name.
    static bool knows(std::string_view name) noexcept;

    // At the empty line of a request: what follows it. The fault, or kFine. Needs a host in 1.1.
    HttpErrc end_request(std::string_view method, Version version, Body& body) const noexcept;
    // At the empty line of a response to a request of that method.
    HttpErrc end_response(std::string_view method, Version version, int status,
                          Body& body) const noexcept;

    bool has_length() const noexcept { return has_length_; }
    std::uint64_t length() const noexcept { return length_; }  // 0 without the field
    bool has_host() const noexcept { return has_host_; }
    std::uint32_t host() const noexcept { return host_; }  // the place of the Host field
    bool chunked() const noexcept { return chunked_; }
    // True if the connection may carry another message after this one, going by the Connection
    // fields alone (RFC 9112 9.3).
    bool keeps_alive(Version version) const noexcept {
        return !close_ && (version == Version::http_1_1 || keep_alive_);
    }
    // True if there are an Upgrade field and its connection option (RFC 9110 7.8).
    bool upgrade() const noexcept { return upgrade_field_ && upgrade_option_; }
    bool expect_continue() const noexcept { return expect_continue_; }
    bool unknown_expectation() const noexcept { return unknown_expectation_; }

private:
    // The first letter of the only name of that length that says something here, at its length.
    static constexpr std::string_view kFirstLetters = "____h_eu__c___c__t";
    // False for nearly every field, at the cost of a comparison.
    static constexpr bool may_matter(std::string_view name) noexcept {
        return name.size() < kFirstLetters.size() && !name.empty() &&
               (name.front() | 0x20) == kFirstLetters[name.size()];
    }

    HttpErrc take_known(std::string_view name, std::string_view value,
                        std::uint32_t index) noexcept;
    HttpErrc take_length(std::string_view value) noexcept;
    HttpErrc take_lengths(std::string_view value) noexcept;
    HttpErrc take_codings(std::string_view value) noexcept;
    HttpErrc take_connection(std::string_view value) noexcept;
    HttpErrc take_host(std::string_view value, std::uint32_t index) noexcept;
    void take_expectations(std::string_view value) noexcept;
    // What both kinds of messages must not have.
    HttpErrc contradiction(Version version) const noexcept;

    std::uint64_t length_ = 0;
    std::uint32_t host_ = 0;
    bool has_length_ = false;
    bool has_host_ = false;
    bool has_codings_ = false;
    bool chunked_ = false;  // has been the last coding so far
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
