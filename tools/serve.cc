// uaio-serve: serves a directory over HTTP/1.1, on a TCP port or a unix socket, plain or over TLS.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

constexpr std::string_view kUsage = R"(uaio-serve [OPTIONS] DIR

Serves the files below DIR over HTTP/1.1 until SIGINT or SIGTERM, then lets what has begun end.

  --port N      TCP port (8080); 0 lets the system pick one, and it is printed
  --address A   address to listen on (127.0.0.1); :: for everybody
  --unix PATH   a unix socket instead
  --tls-cert F  HTTPS: the certificate in PEM, then those between it and the authority;
                several times for several names, each followed by its --tls-key
  --tls-key F   its private key in PEM
  --threads N   engines, each on a thread of its own (1); 0 is one a processor
  --head-timeout S  seconds from the first byte of a request's head to its last (20),
                then it is answered with 408; 0 is any time
  --idle-timeout S  seconds that a connection is kept without a request (75); 0 is any time
  --log         a line for each request
  --help        this text
)";

struct Arguments {
    std::string directory;
    std::string unix_path;
    std::string address = "127.0.0.1";
    std::vector<uaio::tls::Certificate> certificates;
    unsigned port = 8080;
    unsigned threads = 1;
    bool log = false;
    std::chrono::nanoseconds head_timeout = uaio::http::ServerOptions().head_timeout;
    std::chrono::nanoseconds idle_timeout = uaio::http::ServerOptions().idle_timeout;
};

[[noreturn]] void refuse(const std::string& why) {
    std::fprintf(stderr, "uaio-serve: %s\nTry uaio-serve --help.\n", why.c_str());
    std::exit(2);
}

unsigned number(std::string_view option, std::string_view text, unsigned limit) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > limit) {
        refuse(std::string(option) + " takes a number from 0 to " + std::to_string(limit) +
               ", not \"" + std::string(text) + "\"");
    }
    return value;
}

std::chrono::nanoseconds timeout(std::string_view option, std::string_view text) {
    constexpr unsigned kDay = 24 * 60 * 60;
    const unsigned seconds = number(option, text, kDay);
    if (seconds == 0) return uaio::kNoTimeout;
    return std::chrono::seconds(seconds);
}

Arguments parse(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        if (option == "--help") {
            std::fwrite(kUsage.data(), 1, kUsage.size(), stdout);
            std::exit(0);
        }
        if (option == "--log") {
            arguments.log = true;
            continue;
        }
        if (!option.starts_with("--")) {
            if (!arguments.directory.empty()) refuse("one directory, not two");
            arguments.directory = option;
            continue;
        }
        if (i + 1 == argc) refuse(std::string(option) + " needs a value");
        const std::string_view value = argv[++i];
        if (option == "--port") {
            arguments.port = number(option, value, 65535);
        } else if (option == "--threads") {
            arguments.threads = number(option, value, 1024);
        } else if (option == "--head-timeout") {
            arguments.head_timeout = timeout(option, value);
        } else if (option == "--idle-timeout") {
            arguments.idle_timeout = timeout(option, value);
        } else if (option == "--unix") {
            arguments.unix_path = value;
        } else if (option == "--address") {
            arguments.address = value;
        } else if (option == "--tls-cert") {
            arguments.certificates.push_back({.chain = std::string(value)});
        } else if (option == "--tls-key") {
            if (arguments.certificates.empty()) refuse("--tls-key comes after its --tls-cert");
            arguments.certificates.back().key = value;
        } else {
            refuse("there is no option " + std::string(option));
        }
    }
    if (arguments.directory.empty()) refuse("which directory?");
    for (const uaio::tls::Certificate& certificate : arguments.certificates) {
        if (certificate.key.empty()) refuse("--tls-cert needs a --tls-key");
        if (!uaio::kTls) refuse("this build has no TLS; build uaio with -Dtls=enabled");
    }
    return arguments;
}

void log_line(const uaio::http::AccessRecord& record) {
    std::printf("%.*s %.*s %d %llu B %lld us%s%s\n", static_cast<int>(record.method.size()),
                record.method.data(), static_cast<int>(record.target.size()), record.target.data(),
                record.status, static_cast<unsigned long long>(record.bytes),
                static_cast<long long>(record.duration.count() / 1000), record.error ? " " : "",
                record.error ? record.error.message().c_str() : "");
}

// The same acceptors, with TLS on them if there are certificates.
uaio::AcceptorFactory secured(uaio::AcceptorFactory plain, const Arguments& arguments) {
    if (arguments.certificates.empty()) return plain;
    uaio::tls::ContextOptions options;
    options.certificates = arguments.certificates;
    options.verify_peer = false;
    options.protocols = {"http/1.1"};
    if (arguments.log) {
        options.on_failure = [](std::error_code error) {
            std::printf("no connection: %s\n", uaio::strerror(error).c_str());
        };
    }
    return uaio::tls::acceptor(std::move(plain), uaio::tls::Context(options));
}

// Listens on each engine, and says where. With several engines and any port, the first one's is
// that of all.
std::string listen(uaio::http::Server& server, const Arguments& arguments, std::size_t engines) {
    if (!arguments.unix_path.empty()) {
        if (engines > 1) refuse("--unix is for one thread: a unix socket has one queue");
        server.listen(secured(uaio::local::acceptor(arguments.unix_path), arguments));
        return arguments.unix_path;
    }
    const bool v6 = arguments.address.find(':') != std::string::npos;
    const std::string text = (v6 ? "[" + arguments.address + "]" : arguments.address) + ":" +
                             std::to_string(arguments.port);
    uaio::Endpoint endpoint;
    if (uaio::Endpoint::parse(text, endpoint)) {
        refuse("--address takes an IPv4 or IPv6 address, not \"" + arguments.address + "\"");
    }
    uaio::tcp::ListenOptions options;
    options.reuse_port = engines > 1;
    const auto plain = [&](uaio::Engine& engine) {
        auto listener = std::make_unique<uaio::tcp::Listener>(engine, endpoint, options);
        endpoint = listener->local();
        return listener;
    };
    server.listen(secured(plain, arguments));
    return (arguments.certificates.empty() ? "http://" : "https://") + endpoint.to_string() + "/";
}

// Each connection is a descriptor; the usual limit of 1024 is for programs that use select(2).
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

int serve(const Arguments& arguments) {
    raise_descriptor_limit();
    // Before any thread is made, so that all of them leave these signals to the descriptor.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const int descriptor = ::signalfd(-1, &signals, SFD_CLOEXEC);

    auto handler = uaio::http::directory(arguments.directory);
    uaio::EngineGroup group(arguments.threads);
    uaio::http::ServerOptions options;
    options.head_timeout = arguments.head_timeout;
    options.idle_timeout = arguments.idle_timeout;
    if (arguments.log) options.access_log = &log_line;
    uaio::http::Server server(group, options);
    server.handle("GET", "/", handler).tree();
    const std::string where = listen(server, arguments, group.size());
    std::printf("serving %s at %s with %zu thread%s; Ctrl-C ends it\n", arguments.directory.c_str(),
                where.c_str(), group.size(), group.size() == 1 ? "" : "s");
    std::fflush(stdout);

    signalfd_siginfo got;
    while (::read(descriptor, &got, sizeof got) < 0 && errno == EINTR) {
    }
    std::printf("ending: %zu connections are open\n", server.connections());
    std::fflush(stdout);
    uaio::Aio drained(group.engine(0));
    drained.set_timeout(std::chrono::seconds(30));
    server.drain(drained);
    const bool late = static_cast<bool>(drained.wait());
    std::printf("%llu requests answered%s\n", static_cast<unsigned long long>(server.requests()),
                late ? "; some connections did not end in 30 s and were closed" : "");
    ::close(descriptor);
    if (!arguments.unix_path.empty()) ::unlink(arguments.unix_path.c_str());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const Arguments arguments = parse(argc, argv);
    try {
        return serve(arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "uaio-serve: %s\n", error.what());
        return 1;
    }
}
