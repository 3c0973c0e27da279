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
        refuse(option + " must be a number from 0 to " + std::to_string(limit) + ", not " +
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
    if (to.certificates.empty()) refuse("--tls-key must follow its --tls-cert");
    to.certificates.back().key = file;
}

// clang-format off: a table
inline constexpr auto kOptions = std::to_array<tools::Option<Arguments>>({
    {"port", 'p', "N", "TCP port (8080); 0: a free port, which is printed",
     [](Arguments& to, std::string_view v) { to.port = number("--port", v, 65535); }},
    {"address", 'a', "A", "address to listen on (127.0.0.1); :: for every interface",
     [](Arguments& to, std::string_view v) { to.address = v; }},
    {"unix", 0, "PATH", "listen on a unix socket instead",
     [](Arguments& to, std::string_view v) { to.unix_path = v; }},
    {"tls-cert", 0, "FILE",
     "serve HTTPS: the certificate in PEM, then the intermediate certificates;"
     "\nrepeat it for several names, each followed by its --tls-key",
     [](Arguments& to, std::string_view v) {
         to.certificates.push_back({.chain = std::string(v)});
     }},
    {"tls-key", 0, "FILE", "private key of the certificate, in PEM", &set_key, tools::kSecret},
    {"handshakes", 0, "N",
     "limit of pending TLS handshakes of an engine (1024);"
     "\nthe oldest silent one is closed for the next",
     [](Arguments& to, std::string_view v) {
         to.tls.handshakes = number("--handshakes", v, 1'000'000);
     }},
    {"handshake-timeout", 0, "S", "limit for a TLS handshake in seconds (10); 0: none",
     [](Arguments& to, std::string_view v) {
         to.tls.handshake_timeout = timeout("--handshake-timeout", v);
     }},
    {"threads", 't', "N", "number of engines, each with a thread (1); 0: one a processor",
     [](Arguments& to, std::string_view v) { to.threads = number("--threads", v, 1024); }},
    {"head-timeout", 0, "S",
     "limit in seconds from the first byte of a request's head to its last (20);"
     "\nthe response is then 408; 0: none",
     [](Arguments& to, std::string_view v) { to.head_timeout = timeout("--head-timeout", v); }},
    {"idle-timeout", 0, "S", "limit in seconds for a connection without a request (75); 0: none",
     [](Arguments& to, std::string_view v) { to.idle_timeout = timeout("--idle-timeout", v); }},
    {"log", 'l', "", "print a line on standard output for each request",
     [](Arguments& to, std::string_view) { to.log = true; }},
});
// clang-format on

inline constexpr tools::Program kProgram = {"uaio-serve",
                                            R"(Usage: uaio-serve [OPTION]... DIR

Serves the files below DIR over HTTP/1.1 until SIGINT or SIGTERM, then completes the requests that
have begun, for at most 30 seconds; a second signal ends it at once.

)",
                                            R"(
If standard output is not read or its disk is full, uaio-serve drops and counts lines, and
continues to serve.

Exit codes:
  0    a signal ended the program
  1    it cannot serve: because of the address, the certificate or a local failure
  2    invalid arguments
  128+ a second signal ended the program: 130 is Ctrl-C
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
    if (arguments.directory.empty()) refuse("the name of the directory is empty");
    for (const tls::Certificate& certificate : arguments.certificates) {
        if (certificate.key.empty()) refuse("--tls-cert requires a --tls-key");
        if (!kTls) refuse("this build has no TLS; build uaio with -Dtls=enabled");
    }
    return arguments;
}

}  // namespace uaio::serve
