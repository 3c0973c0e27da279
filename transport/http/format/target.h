// Request targets, hosts and URLs (RFC 9112 section 3.2, RFC 3986). Pure functions of their
// arguments; views in the results are parts of the arguments. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

enum class TargetForm { origin, absolute, authority, asterisk };

struct Target {
    TargetForm form = TargetForm::origin;
    std::string_view host;   // of the absolute and the authority form, with its port
    std::string_view path;   // "/" if an absolute target has none; "*"; empty for authority
    std::string_view query;  // without its question mark
};

// Splits a target and checks that it is valid for the method: authority only and always with
// CONNECT, asterisk only with OPTIONS. False if it is invalid; `out` is then unspecified. A path
// may contain any visible character but "#", also those that RFC 3986 requires to be encoded, since
// browsers send them. Rejects user information before a host (RFC 9110 4.2.4).
bool split_target(std::string_view method, std::string_view target, Target& out) noexcept;
// The same for a target that is known to be non-empty and to contain such characters only.
bool split_visible_target(std::string_view method, std::string_view target, Target& out) noexcept;

// The method whose target is an authority.
inline constexpr std::string_view kConnect = "CONNECT";

// The same for a target of any other method that begins with a slash: it is valid.
void split_path(std::string_view target, Target& out) noexcept;

// True for a valid value of Host (RFC 9110 7.2): a host, optionally followed by a colon and a port
// of at most 65535, which may be empty. An empty host is invalid: no http URI has one (9110 4.2.1).
bool is_host(std::string_view text) noexcept;

struct Url {
    bool secure = false;         // https or wss
    std::string_view host;       // without brackets
    std::uint16_t port = 0;      // the default of the scheme if the URL has none
    std::string_view authority;  // as in Host: without the port if that is the default
    std::string_view target;     // path and query; empty, or begins with "?", if there is no path
};

// Parses an http, https, ws or wss URL, and drops the fragment. Errc::invalid_argument for any
// other text, user information, or a character that must be percent-encoded; `out` is then
// unspecified.
[[nodiscard]] std::error_code parse_url(std::string_view url, Url& out) noexcept;

// True if `path` contains "%2F" in either case: decoded, it is a separator to a file system.
bool has_encoded_slash(std::string_view path) noexcept;

// Decodes percent-encoded bytes such as "%41", once. Errc::invalid_argument if a percent sign is
// not followed by two hexadecimal digits, Errc::not_enough_memory; `out` is then empty. Reuses the
// capacity of `out`.
[[nodiscard]] std::error_code percent_decode(std::string_view text, std::string& out) noexcept;

// Decodes the path of a target for lookup: the result begins with a slash, has no empty, "." or
// ".." segment, and keeps a slash at its end. Each segment is decoded once; an encoded slash stays
// "%2F", since it is a part of its segment. An empty path becomes "/". Errc::invalid_argument for
// ".." above the root, an encoded NUL, a bad percent sign; Errc::not_enough_memory; `out` is then
// empty. Reuses the capacity of `out`.
[[nodiscard]] std::error_code normalise_path(std::string_view path, std::string& out) noexcept;

}  // namespace uaio::http
