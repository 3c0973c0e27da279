// The command line of uaio-send: one table, which is parsed and printed by --help. For the main
// thread, before it does anything else.
#pragma once

#include <uaio/dialer.h>

#include "base/quoted.h"
#include "tools/command_line.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::send {

struct Arguments {
    std::string target;
    DialOptions dial;
    tls::ContextOptions tls;        // to the target
    tls::ContextOptions proxy_tls;  // to an https proxy
    // How long the peer may be silent after the end of the input; none: until it ends.
    std::optional<std::chrono::nanoseconds> quit_after;
    std::optional<std::chrono::nanoseconds> max_time;
    bool verbose = false;
    bool quiet = false;
};

[[noreturn]] inline void refuse(const std::string& why) { tools::refuse("uaio-send", why); }

// Parses seconds, with or without a fraction.
inline std::chrono::nanoseconds seconds(std::string_view text) {
    constexpr double kMost = 1e9;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    if (!is_number || !(value >= 0 && value <= kMost)) {
        refuse("a time must be a number of seconds, such as 2.5, not " + in_quotes(text));
    }
    return std::chrono::nanoseconds(static_cast<std::int64_t>(value * 1e9));
}

inline std::uint16_t port(std::string_view text) {
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0) {
        refuse("a port must be a number from 1 to 65535, not " + in_quotes(text));
    }
    return value;
}

inline tls::Version version(std::string_view text) {
    if (text == "1.2") return tls::Version::tls_1_2;
    if (text == "1.3") return tls::Version::tls_1_3;
    refuse("a TLS version must be 1.2 or 1.3, not " + in_quotes(text));
}

// Sets the local address or the interface.
inline void set_interface(Arguments& to, std::string_view text) {
    Endpoint address;
    const bool is_address = !Endpoint::parse_address(text, 0, address);
    (is_address ? to.dial.local_address : to.dial.interface) = text;
}

// Parses N or N-M.
inline void set_local_port(Arguments& to, std::string_view text) {
    const std::size_t dash = text.find('-');
    to.dial.local_port = port(text.substr(0, dash));
    if (dash == text.npos) return;
    const std::uint16_t last = port(text.substr(dash + 1));
    if (last < to.dial.local_port) refuse("a range of ports must begin with the lower port");
    to.dial.local_ports = last - to.dial.local_port + 1u;
}

inline void set_authentication(Arguments& to, std::string_view text) {
    if (text == "basic") {
        to.dial.proxy_authentication = ProxyAuthentication::basic;
    } else if (text == "digest") {
        to.dial.proxy_authentication = ProxyAuthentication::digest;
    } else if (text == "any") {
        to.dial.proxy_authentication = ProxyAuthentication::any;
    } else {
        refuse("--proxy-auth must be basic, digest or any");  // not quoted: perhaps USER:PASSWORD
    }
}

inline void set_header(Arguments& to, std::string_view text) {
    if (text != "v1" && text != "v2")
        refuse("--proxy-header must be v1 or v2, not " + in_quotes(text));
    to.dial.proxy_header = text == "v1" ? ProxyHeader::v1 : ProxyHeader::v2;
}

inline tls::Certificate& certificate(Arguments& to) {
    if (to.tls.certificates.empty()) to.tls.certificates.emplace_back();
    return to.tls.certificates.front();
}

inline void set_protocols(Arguments& to, std::string_view text) {
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        to.tls.protocols.emplace_back(text.substr(at, comma - at));
        at = comma + 1;
    }
}

inline void trust_anybody(tls::ContextOptions& options) {
    options.verify_peer = options.verify_name = false;
}

// clang-format off: a table
inline constexpr auto kOptions = std::to_array<tools::Option<Arguments>>({
    {"quit-after", 'q', "S",
     "end after S seconds without received bytes, counted from the end of input",
     [](Arguments& to, std::string_view v) { to.quit_after = seconds(v); }},
    {"timeout", 0, "S", "limit for lookup, connect, proxies and TLS together (300)",
     [](Arguments& to, std::string_view v) { to.dial.timeout = seconds(v); }},
    {"max-time", 'm', "S", "limit for the whole run (none)",
     [](Arguments& to, std::string_view v) { to.max_time = seconds(v); }},
    {"verbose", 'v', "", "print the outcome and the duration of each phase",
     [](Arguments& to, std::string_view) { to.verbose = true; }},
    {"quiet", 0, "", "no progress; the default prints it if only standard error is a terminal",
     [](Arguments& to, std::string_view) { to.quiet = true; }},

    {"ipv4", '4', "", "use IPv4 only",
     [](Arguments& to, std::string_view) { to.dial.family = AddressFamily::v4; }},
    {"ipv6", '6', "", "use IPv6 only",
     [](Arguments& to, std::string_view) { to.dial.family = AddressFamily::v6; }},
    {"resolve", 0, "HOST:PORT:ADDRESS[,ADDRESS]", "use these addresses instead of a lookup",
     [](Arguments& to, std::string_view v) { to.dial.resolve.emplace_back(v); }},
    {"connect-to", 0, "HOST:PORT:HOST2:PORT2",
     "connect to HOST2:PORT2 instead; TLS still verifies HOST",
     [](Arguments& to, std::string_view v) { to.dial.connect_to.emplace_back(v); }},
    {"interface", 0, "NAME", "connect from this interface or numeric address", &set_interface},
    {"local-port", 0, "N[-M]", "connect from this port, or from one of a range", &set_local_port},
    {"unix", 0, "PATH", "connect to a unix socket instead; @NAME is abstract",
     [](Arguments& to, std::string_view v) { to.dial.unix_path = v; }},

    {"proxy", 'x', "URL",
     "http, https, socks4, socks4a, socks5 or socks5h://[USER:PASSWORD@]HOST:PORT;"
     "\nempty: none. The default is that of http_proxy, https_proxy and all_proxy",
     [](Arguments& to, std::string_view v) { to.dial.proxy = v; },
     tools::kSecret | tools::kMayBeEmpty},
    {"pre-proxy", 0, "URL", "connect to the proxy through this SOCKS proxy",
     [](Arguments& to, std::string_view v) { to.dial.pre_proxy = v; }, tools::kSecret},
    {"no-proxy", 0, "LIST", "hosts to connect to without a proxy; the default is that of no_proxy",
     [](Arguments& to, std::string_view v) { to.dial.no_proxy = v; }, tools::kMayBeEmpty},
    {"proxy-auth", 0, "KIND", "basic, digest or any (basic)", &set_authentication},
    {"proxy-field", 0, "FIELD", "an additional field for CONNECT, such as \"User-Agent: me\"",
     [](Arguments& to, std::string_view v) { to.dial.proxy_fields.emplace_back(v); },
     tools::kSecret},
    {"proxy-cacert", 0, "FILE", "trusted authorities for an https proxy, in PEM",
     [](Arguments& to, std::string_view v) { to.proxy_tls.authorities = v; }},
    {"proxy-insecure", 0, "", "accept any certificate of an https proxy",
     [](Arguments& to, std::string_view) { trust_anybody(to.proxy_tls); }},
    {"proxy-header", 0, "VERSION",
     "v1 or v2: send the local address to the server first (haproxy's"
     "\nPROXY protocol)",
     &set_header},

    {"cacert", 0, "FILE", "trusted authorities, in PEM, instead of the system's",
     [](Arguments& to, std::string_view v) { to.tls.authorities = v; }},
    {"insecure", 'k', "", "accept any certificate",
     [](Arguments& to, std::string_view) { trust_anybody(to.tls); }},
    {"pinned", 0, "PIN",
     "require this public key of the peer, as sha256//BASE64; repeat it"
     "\nfor several keys",
     [](Arguments& to, std::string_view v) { to.tls.pins.emplace_back(v); }},
    {"cert", 0, "FILE", "client certificate, in PEM, with the intermediate certificates",
     [](Arguments& to, std::string_view v) { certificate(to).chain = v; }},
    {"key", 0, "FILE", "private key of the certificate, in PEM",
     [](Arguments& to, std::string_view v) { certificate(to).key = v; }, tools::kSecret},
    {"tls-min", 0, "VERSION", "1.2 or 1.3 (1.2)",
     [](Arguments& to, std::string_view v) { to.tls.min_version = version(v); }},
    {"tls-max", 0, "VERSION", "1.2 or 1.3 (1.3)",
     [](Arguments& to, std::string_view v) { to.tls.max_version = version(v); }},
    {"alpn", 0, "LIST", "protocols to offer, in order of preference, such as h2,http/1.1 (none)",
     &set_protocols},
});
// clang-format on

inline constexpr std::string_view kIntroduction = R"(Usage: uaio-send [OPTION]... URL

Sends standard input unchanged to a server, and the server's bytes to standard output. URL is
http, https, ws, wss, tcp or tls://HOST[:PORT]; tcp and tls require a port; https, wss and tls use
TLS. uaio-send ends when the server has closed the connection and the input has been sent; if the
input is a terminal, as soon as the server has closed the connection. Unlike nc, it does not shut
down its sending side at the end of input; for servers that wait for that, use --quit-after.

)";

inline constexpr std::string_view kClosing = R"(
The environment variable SSLKEYLOGFILE names a file for the TLS secrets, with which other programs
can decrypt the connection. uaio-send overwrites the values of --proxy, --pre-proxy, --proxy-field
and --key on its command line, and a user and a password in URL, as soon as it has read them. Other
users cannot read environment variables such as https_proxy.

Exit codes:
  0    all input was sent, and the server closed the connection or --quit-after passed
  1    a local failure: standard input or output, memory, descriptors
  2    invalid arguments
  3    a name has no address: the target's or a proxy's
  4    no connection: refused, unreachable, not permitted
  5    a proxy refused the connection, or the peer is not a proxy
  6    the certificate of the target or of an https proxy was rejected
  7    TLS failed for another reason
  8    a timeout expired
  9    the connection was interrupted: by a reset, or by an end without close_notify
  10   this build or this kernel does not support the operation
  128+ a signal ended the program: 130 is Ctrl-C
)";

inline constexpr tools::Program kProgram = {"uaio-send", kIntroduction, kClosing};

// Returns whether the target is used without TLS.
inline bool is_plain(std::string_view target) {
    const std::size_t colon = target.find("://");
    if (colon == target.npos) return true;
    std::string scheme(target.substr(0, colon));
    for (char& letter : scheme)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return scheme == "http" || scheme == "ws" || scheme == "tcp";
}

// Overwrites everything before the host, or that may be: a password may contain any character.
inline void hide_user(char* url) {
    const std::string_view text = url;
    const std::size_t scheme = text.find("://");
    const std::size_t begin = scheme == text.npos ? 0 : scheme + 3;
    const std::size_t end = text.rfind('@');
    if (end != text.npos && end > begin) tools::overwrite(url + begin, end - begin);
}

// Does not return after --help or an invalid command line.
inline Arguments parse(int argc, char** argv) {
    Arguments arguments;
    const std::span<const tools::Option<Arguments>> options = kOptions;
    const std::span<char*> operands = tools::parse(kProgram, options, arguments, argc, argv);
    if (operands.empty()) refuse("missing URL");
    if (operands.size() > 1) refuse("more than one URL");
    arguments.target = operands.front();
    hide_user(operands.front());
    if (arguments.target.empty()) refuse("the URL is empty");
    if (!arguments.tls.certificates.empty()) {
        const tls::Certificate& own = arguments.tls.certificates.front();
        if (own.chain.empty() || own.key.empty()) refuse("--cert and --key require each other");
    }
    if (arguments.tls.min_version > arguments.tls.max_version) {
        refuse("--tls-min is above --tls-max");
    }
    return arguments;
}

}  // namespace uaio::send
