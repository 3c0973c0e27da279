// The messages of uaio-send, all on standard error: why it ended, with advice and the exit code,
// the duration of each phase, and the progress. For the main thread.
#pragma once

#include <uaio/argument_error.h>
#include <uaio/dialer.h>
#include <uaio/tls.h>

#include "tools/send_options.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::send {

enum class ExitCode : std::uint8_t {
    done = 0,
    this_machine = 1,
    arguments = 2,
    name = 3,
    no_connection = 4,
    proxy = 5,
    certificate = 6,
    tls_failed = 7,
    timed_out = 8,
    cut = 9,
    not_supported = 10,
};

// `phase` is done for failures after the connection is established.
inline ExitCode exit_code(std::error_code error, DialPhase phase) {
    if (error == Errc::not_supported) return ExitCode::not_supported;
    if (error == std::errc::timed_out) return ExitCode::timed_out;
    if (error == Errc::not_enough_memory) return ExitCode::this_machine;
    if (error.category() == tls_category()) {
        const bool is_certificate =
            error.value() <= static_cast<int>(TlsErrc::certificate_not_pinned);
        return is_certificate ? ExitCode::certificate : ExitCode::tls_failed;
    }
    if (error.category() == resolve_category()) {
        return error == ResolveErrc::bad_rule ? ExitCode::arguments : ExitCode::name;
    }
    if (error.category() == proxy_category()) {
        const bool is_argument = error == ProxyErrc::bad_url || error == ProxyErrc::bad_field ||
                                 error == ProxyErrc::unsupported_scheme ||
                                 error == ProxyErrc::bad_credentials;
        if (is_argument) return ExitCode::arguments;
        return error == ProxyErrc::name_not_resolved ? ExitCode::name : ExitCode::proxy;
    }
    if (error.category() == std::system_category()) {
        const int number = error.value();
        if (number == EMFILE || number == ENFILE || number == ENOBUFS)
            return ExitCode::this_machine;
    }
    if (error == Errc::proxy_refused) return ExitCode::proxy;
    switch (phase) {
        case DialPhase::begin: return ExitCode::arguments;
        case DialPhase::proxy: return ExitCode::proxy;
        case DialPhase::tls: return ExitCode::tls_failed;
        case DialPhase::done: return ExitCode::cut;
        case DialPhase::resolve:
        case DialPhase::connect: break;
    }
    return ExitCode::no_connection;
}

// Returns whether an @ is where a host could be.
inline bool names_user(const std::string& target) {
    const std::size_t scheme = target.find("://");
    const std::size_t begin = scheme == target.npos ? 0 : scheme + 3;
    return target.find('@') < target.find_first_of("/?#", begin);
}

// Returns advice in this program's terms; empty where that of strerror() fits.
inline std::string_view advice(const std::string& target, std::error_code error, DialPhase phase) {
    if (phase == DialPhase::begin && error == ArgumentErrc::invalid_url) {
        if (names_user(target)) {
            return "The target has a user or a password before its host, which is allowed only for "
                   "a proxy; remove it and the @.";
        }
        return "The target is not SCHEME://HOST:PORT with a known scheme; tcp and tls require the "
               "port.";
    }
    if (error == ResolveErrc::bad_rule) {
        return "--resolve is HOST:PORT:ADDRESS[,ADDRESS], --connect-to is HOST:PORT:HOST2:PORT2; "
               "put IPv6 addresses in brackets.";
    }
    if (error == TlsErrc::certificate_untrusted) {
        return "Its authority is not trusted: give the file with the authority's certificate by "
               "--cacert, or have the server send the intermediate certificates.";
    }
    if (error == TlsErrc::certificate_self_signed) {
        return "It, or its root, is self-signed: if it is genuine, give it by --cacert.";
    }
    if (error == TlsErrc::certificate_not_pinned) {
        return "The public key is not one of --pinned: if the server has a new key, pin it, "
               "otherwise the connection may be intercepted.";
    }
    if (error == TlsErrc::peer_wants_certificate) {
        return "The server requires a certificate: give one by --cert and --key.";
    }
    if (error == TlsErrc::no_common_version) {
        return "Check --tls-min and --tls-max; uaio-send supports TLS 1.2 and 1.3.";
    }
    if (error == TlsErrc::no_common_protocol) return "Check --alpn.";
    if (error == TlsErrc::not_tls) {
        return "The server's bytes are not TLS; this port may be for tcp or http.";
    }
    if (error == ProxyErrc::authentication_required) {
        return "The proxy requires a user and a password: --proxy "
               "SCHEME://USER:PASSWORD@HOST:PORT; it may require another --proxy-auth.";
    }
    if (error == ProxyErrc::other_authentication) {
        return "The proxy offers only Digest and --proxy-auth is basic (the default), or only "
               "Basic and it is digest: use --proxy-auth any.";
    }
    if (error == Errc::timed_out) {
        return "Increase --timeout or --max-time, or find out why the peer does not respond.";
    }
    if (error == Errc::not_supported) {
        return "This build of uaio has no TLS; build it with -Dtls=enabled.";
    }
    if (error == Errc::truncated && phase == DialPhase::done) {
        return "The server ended the connection without the close_notify of TLS: the received "
               "bytes may be incomplete.";
    }
    if (error == Errc::connection_reset && phase == DialPhase::done) {
        return "The server closed or reset the connection before it had received all bytes.";
    }
    if (error == std::error_code(ENODEV, std::system_category())) {
        return "The network interface does not exist; `ip link` lists the existing ones.";
    }
    return {};
}

inline std::string_view doing(DialPhase phase) {
    switch (phase) {
        case DialPhase::begin: return "cannot start";
        case DialPhase::resolve: return "no address";
        case DialPhase::connect: return "no connection";
        case DialPhase::proxy: return "no tunnel through the proxy";
        case DialPhase::tls: return "no TLS";
        case DialPhase::done: break;
    }
    return "connection lost";
}

// Returns the target up to the path, without a user and a password; less if a password contains a
// slash and would be taken for a host or a port.
inline std::string without_secrets(const std::string& target) {
    const std::size_t scheme = target.find("://");
    const std::size_t begin = scheme == target.npos ? 0 : scheme + 3;
    const std::size_t end = std::min(target.find_first_of("/?#", begin), target.size());
    const std::size_t at = target.rfind('@');
    if (at == target.npos || at < begin) return target.substr(0, end);
    if (at < end) return target.substr(0, begin) + target.substr(at + 1, end - at - 1);
    const bool unsure = target.substr(begin, end - begin).find_first_of(":@") != target.npos;
    return target.substr(0, unsure ? begin : end) + (unsure ? "..." : "");
}

// Prints "uaio-send: no TLS: https://host: certificate expired. Advice." If no connection was made,
// the address that failed last follows the target, marked if it is a proxy's.
inline ExitCode print_failure(const std::string& target, std::error_code error,
                              const DialReport& report) {
    const DialPhase phase = report.phase;
    const bool named = phase == DialPhase::connect && report.peer;
    const std::string host = without_secrets(target);
    const std::string at = report.peer_is_proxy ? " by the proxy at " : " at ";
    const std::string place = named ? host + at + report.peer->to_string() : host;
    const std::string_view what_to_do = advice(target, error, phase);
    const std::string sentence = what_to_do.empty() ? strerror(error) : std::string(what_to_do);
    std::fprintf(stderr, "uaio-send: %.*s: %s: %s. %s\n", static_cast<int>(doing(phase).size()),
                 doing(phase).data(), place.c_str(), error.message().c_str(), sentence.c_str());
    return exit_code(error, phase);
}

inline double milliseconds(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

inline void print_dial(const DialReport& report) {
    std::fprintf(stderr, "* resolve %.1f ms, connect %.1f ms, proxy %.1f ms, tls %.1f ms\n",
                 milliseconds(report.resolve), milliseconds(report.connect),
                 milliseconds(report.proxy), milliseconds(report.tls));
    if (report.peer) {
        const bool failed = report.phase == DialPhase::connect;
        std::fprintf(stderr, "* %s %s; addresses tried: %u, connections: %u\n",
                     failed ? "no connection to" : "connected to", report.peer->to_string().c_str(),
                     report.attempts, report.connections);
    }
    if (report.proxy_status != 0) {
        std::fprintf(stderr, "* the proxy answered %d\n", report.proxy_status);
    }
    if (report.socks_reply != 0) {
        std::fprintf(stderr, "* the SOCKS proxy refused with %d\n", report.socks_reply);
    }
}

inline void print_tls(const tls::Details& details) {
    if (details.version.empty()) return;
    std::fprintf(stderr, "* %s, %s, %s, ALPN: %s\n", details.version.c_str(),
                 details.cipher.c_str(), details.peer.c_str(),
                 details.protocol.empty() ? "none" : details.protocol.c_str());
}

// Bytes both ways, in one line that is overwritten, and a final line.
class Progress {
public:
    explicit Progress(bool wanted)
        : shown_(wanted && ::isatty(STDERR_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 0) {}

    // Milliseconds until the next line; negative: no limit.
    int pause_ms() const { return shown_ ? 200 : -1; }

    void show(std::uint64_t sent, std::uint64_t received) {
        if (!shown_ || Clock::now() < next_) return;
        next_ = Clock::now() + std::chrono::milliseconds(pause_ms());
        line(sent, received, "");
    }
    void finish(std::uint64_t sent, std::uint64_t received, bool verbose) {
        if (shown_) {
            line(sent, received, "\n");
        } else if (verbose) {
            std::fprintf(stderr, "* sent %llu bytes, received %llu bytes in %.1f s\n",
                         static_cast<unsigned long long>(sent),
                         static_cast<unsigned long long>(received), elapsed());
        }
    }

private:
    double elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
    void line(std::uint64_t sent, std::uint64_t received, const char* end) const {
        std::fprintf(stderr, "\r\033[Ksent %llu bytes, received %llu bytes, %.1f s%s",
                     static_cast<unsigned long long>(sent),
                     static_cast<unsigned long long>(received), elapsed(), end);
    }

    const bool shown_;
    const Clock::time_point began_ = Clock::now();
    Clock::time_point next_ = began_;
};

}  // namespace uaio::send
