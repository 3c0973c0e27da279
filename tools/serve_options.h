// The command line of uaio-serve. For the main thread, before it does anything else.
#pragma once

#include <uaio/http.h>
#include <uaio/tls.h>

#include "base/quoted.h"
#include "tools/command_line.h"

#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace uaio::serve {

struct Arguments {
    std::string directory;
    std::string unix_path;
    std::string address = "127.0.0.1";
    std::vector<tls::Certificate> certificates;
    unsigned port = 8080;
    unsigned threads = 1;
    bool log = false;
    std::chrono::nanoseconds head_timeout = http::ServerOptions().head_timeout;
    std::chrono::nanoseconds idle_timeout = http::ServerOptions().idle_timeout;
    tls::ListenerOptions tls;
};

[[noreturn]] inline void refuse(const std::string& why) { tools::refuse("uaio-serve", why); }

inline unsigned number(const std::string& option, std::string_view text, unsigned limit) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > limit) {
        refuse(option + " takes a number from 0 to " + std::to_string(limit) + ", not " +
               in_quotes(text));
    }
    return value;
}

inline std::chrono::nanoseconds timeout(const std::string& option, std::string_view text) {
    constexpr unsigned kDay = 24 * 60 * 60;
    const unsigned seconds = number(option, text, kDay);
    if (seconds == 0) return kNoTimeout;
    return std::chrono::seconds(seconds);
}

inline void set_key(Arguments& to, std::string_view file) {
    if (to.certificates.empty()) refuse("--tls-key comes after its --tls-cert");
    to.certificates.back().key = file;
}

// clang-format off: a table
inline constexpr auto kOptions = std::to_array<tools::Option<Arguments>>({
    {"port", 'p', "N", "TCP port (8080); 0 lets the system pick one, and it is printed",
     [](Arguments& to, std::string_view v) { to.port = number("--port", v, 65535); }},
    {"address", 'a', "A", "address to listen on (127.0.0.1); :: for every interface",
     [](Arguments& to, std::string_view v) { to.address = v; }},
    {"unix", 0, "PATH", "a unix socket instead",
     [](Arguments& to, std::string_view v) { to.unix_path = v; }},
    {"tls-cert", 0, "FILE",
     "HTTPS: the certificate in PEM, then those between it and the authority;"
     "\nseveral times for several names, each followed by its --tls-key",
     [](Arguments& to, std::string_view v) {
         to.certificates.push_back({.chain = std::string(v)});
     }},
    {"tls-key", 0, "FILE", "its private key, in PEM", &set_key, tools::kSecret},
    {"handshakes", 0, "N",
     "TLS connections of an engine that have not ended their handshake (1024);"
     "\nthe oldest silent one makes room for the next",
     [](Arguments& to, std::string_view v) {
         to.tls.handshakes = number("--handshakes", v, 1'000'000);
     }},
    {"handshake-timeout", 0, "S", "seconds for a TLS handshake (10); 0 is any time",
     [](Arguments& to, std::string_view v) {
         to.tls.handshake_timeout = timeout("--handshake-timeout", v);
     }},
    {"threads", 't', "N", "engines, each on a thread of its own (1); 0 is one a processor",
     [](Arguments& to, std::string_view v) { to.threads = number("--threads", v, 1024); }},
    {"head-timeout", 0, "S",
     "seconds from the first byte of a request's head to its last (20),"
     "\nthen it is answered with 408; 0 is any time",
     [](Arguments& to, std::string_view v) { to.head_timeout = timeout("--head-timeout", v); }},
    {"idle-timeout", 0, "S",
     "seconds that a connection is kept without a request (75); 0 is any time",
     [](Arguments& to, std::string_view v) { to.idle_timeout = timeout("--idle-timeout", v); }},
    {"log", 'l', "", "a line on standard output for each request",
     [](Arguments& to, std::string_view) { to.log = true; }},
});
// clang-format on

inline constexpr tools::Program kProgram = {"uaio-serve",
                                            R"(Usage: uaio-serve [OPTION]... DIR

Serves the files below DIR over HTTP/1.1 until SIGINT or SIGTERM, then completes the requests that
have begun, for at most 30 seconds; a second signal ends it at once.

)",
                                            R"(
Lines for standard output that nothing reads, and those that a full disk does not take, are dropped
and counted; the server goes on.

Exit codes:
  0    a signal ended it
  1    it cannot serve: the address, the certificate, this machine
  2    the arguments
  128+ a second signal ended it: 130 is Ctrl-C
)"};

inline Arguments parse(int argc, char** argv) {
    Arguments arguments;
    const std::span<const tools::Option<Arguments>> options = kOptions;
    const std::span<char*> operands = tools::parse(kProgram, options, arguments, argc, argv);
    if (operands.empty()) refuse("missing directory");
    if (operands.size() > 1) {
        refuse("more than one directory: " + in_quotes(operands[1]));
    }
    arguments.directory = operands.front();
    if (arguments.directory.empty()) refuse("the directory's name is empty");
    for (const tls::Certificate& certificate : arguments.certificates) {
        if (certificate.key.empty()) refuse("--tls-cert needs a --tls-key");
        if (!kTls) refuse("this build has no TLS; build uaio with -Dtls=enabled");
    }
    return arguments;
}

}  // namespace uaio::serve
