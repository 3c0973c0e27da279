// Targets of requests, hosts and URLs (RFC 9112 section 3.2, RFC 3986). Pure functions of their
// arguments; views in the results are parts of what was given. Any thread.
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

// Takes a target apart and checks that it goes with the method: authority only and always with
// CONNECT, asterisk only with OPTIONS. False if it does not, or is none; `out` is unspecified then.
// A path may hold any visible character but "#", also those that RFC 3986 would have encoded, since
// browsers send them. User information before a host is refused (RFC 9110 4.2.4).
bool split_target(std::string_view method, std::string_view target, Target& out) noexcept;
// The same for a target that is known to consist of such characters, and to have some.
bool split_visible_target(std::string_view method, std::string_view target, Target& out) noexcept;

// True for a host and perhaps a colon and a port of at most 65535, or nothing after the colon: what
// Host may hold (RFC 9110 7.2). An empty host is none: no http URI has one (9110 4.2.1).
bool is_host(std::string_view text) noexcept;

struct Url {
    bool secure = false;         // https or wss
    std::string_view host;       // without brackets
    std::uint16_t port = 0;      // the default one of the scheme if the URL has none
    std::string_view authority;  // as Host has it: without the port if that is the default
    std::string_view target;     // path and query; empty, or begins with "?", if there is no path
};

// Reads an http, https, ws or wss URL. The fragment is dropped. Errc::invalid_argument if it is
// anything else, has user information, or holds a character that must be percent-encoded; `out` is
// unspecified then.
std::error_code parse_url(std::string_view url, Url& out) noexcept;

// True for "%2F" in either case: what a file system would read as a separator once it is decoded.
bool has_encoded_slash(std::string_view path) noexcept;

// Replaces "%41" and the like, once, by the bytes they stand for. Errc::invalid_argument if two
// hexadecimal digits do not follow a percent sign, Errc::not_enough_memory; `out`, whose capacity
// is used again, is empty then.
std::error_code percent_decode(std::string_view text, std::string& out) noexcept;

// The decoded path of a target, as a server looks it up: it begins with a slash, has no empty, "."
// or ".." segment, and keeps a slash at its end. Each segment is decoded once; an encoded slash
// stays "%2F", since it is a part of its segment. Errc::invalid_argument for ".." above the root,
// an encoded NUL, a bad percent sign; Errc::not_enough_memory; `out`, whose capacity is used again,
// is empty then. An empty path is "/".
std::error_code normalise_path(std::string_view path, std::string& out) noexcept;

}  // namespace uaio::http
