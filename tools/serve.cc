// uaio-serve: serves a directory over HTTP/1.1, on a TCP port or a unix socket, plain or over TLS.
// The engines have threads of their own; the main thread prints and waits for signals.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "tools/ending_signals.h"
#include "tools/serve_options.h"
#include "tools/serve_output.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace {

using uaio::serve::Arguments;
using uaio::serve::Output;
using uaio::serve::refuse;

constexpr std::chrono::seconds kDrainTime{30};

void log_line(Output& output, const uaio::http::AccessRecord& record) noexcept {
    try {
        std::string line(record.method);
        // Without its query, which files do not use and which may contain a token.
        line.append(" ")
            .append(record.target.substr(0, record.target.find('?')))
            .append(" ")
            .append(std::to_string(record.status));
        line.append(" ").append(std::to_string(record.bytes)).append(" B ");
        line.append(std::to_string(record.duration.count() / 1000)).append(" us");
        if (record.error) line.append(" ").append(record.error.message());
        output.line(line);
    } catch (const std::bad_alloc&) {
        output.lose();
    }
}

// Adds TLS to the acceptors if there are certificates.
uaio::AcceptorFactory secured(uaio::AcceptorFactory plain, const Arguments& arguments,
                              Output& output) {
    if (arguments.certificates.empty()) return plain;
    uaio::tls::ContextOptions options;
    options.certificates = arguments.certificates;
    options.verify_peer = false;
    options.protocols = {"http/1.1"};
    if (arguments.log) {
        options.on_failure = [&output](std::error_code error) {
            output.line("TLS handshake failed: " + uaio::strerror(error));
        };
    }
    return uaio::tls::acceptor(std::move(plain), uaio::tls::Context(options), arguments.tls);
}

// Listens on each engine; returns the address. With several engines and any port, all use the port
// of the first one.
std::string listen(uaio::http::Server& server, const Arguments& arguments, std::size_t engines,
                   Output& output) {
    if (!arguments.unix_path.empty()) {
        if (engines > 1) refuse("--unix requires --threads 1: a unix socket has one queue");
        server.listen(secured(uaio::local::acceptor(arguments.unix_path), arguments, output));
        return arguments.unix_path;
    }
    const bool v6 = arguments.address.find(':') != std::string::npos;
    const std::string text = (v6 ? "[" + arguments.address + "]" : arguments.address) + ":" +
                             std::to_string(arguments.port);
    uaio::Endpoint endpoint;
    if (uaio::Endpoint::parse(text, endpoint)) {
        refuse("--address must be an IPv4 or IPv6 address, not \"" + arguments.address + "\"");
    }
    const uaio::tcp::Acceptors plain = uaio::tcp::acceptor(endpoint);
    server.listen(secured(plain, arguments, output));
    const std::string scheme = arguments.certificates.empty() ? "http://" : "https://";
    return scheme + plain.local_endpoint().to_string() + "/";
}

// Each connection is a descriptor; the usual limit of 1024 is for programs that use select(2).
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

// Prints until a signal arrives, and returns it, or until `is_over`, evaluated after each wake(),
// holds, and returns 0.
template <class IsOver>
int print_until_signal(int signals, Output& output, IsOver is_over) {
    while (!is_over()) {
        const int pause = output.pause_ms();
        std::array<pollfd, 3> ready{{
            {signals, POLLIN, 0},
            {output.event(), POLLIN, 0},
            {pause == 0 ? STDOUT_FILENO : -1, POLLOUT, 0},
        }};
        if (::poll(ready.data(), ready.size(), pause == 0 ? -1 : pause) < 0 && errno != EINTR) {
            throw std::system_error(errno, std::system_category(), "poll");
        }
        if (ready[1].revents != 0) output.clear_event();
        output.write();
        signalfd_siginfo got{};
        if (ready[0].revents != 0 && ::read(signals, &got, sizeof got) == sizeof got) {
            return static_cast<int>(got.ssi_signo);
        }
    }
    return 0;
}

std::string kernel_line(const uaio::Engine& engine) {
    const bool is_ring = engine.kernel() == uaio::KernelKind::io_uring;
    return std::string("kernel: ") + (is_ring ? "io_uring: " : "epoll and system calls: ") +
           std::string(engine.kernel_reason());
}

// Completes requests in progress, for at most kDrainTime; a second signal ends the program.
void drain(uaio::Engine& engine, uaio::http::Server& server, int signals, Output& output) {
    output.line("ending: " + std::to_string(server.connections()) + " connections are open");
    std::atomic<bool> over = false;
    uaio::Aio drained(engine, [&](uaio::Aio&) {
        over = true;
        output.wake();
    });
    drained.set_timeout(kDrainTime);
    server.drain(drained);
    const int signal = print_until_signal(signals, output, [&] { return over.load(); });
    if (signal != 0) {
        output.finish(std::chrono::milliseconds(0));
        ::_exit(128 + signal);
    }
    const bool late = static_cast<bool>(drained.wait());
    output.line(std::to_string(server.requests()) + " requests served" +
                (late ? "; some connections did not end in 30 s and were closed" : ""));
}

int serve(const Arguments& arguments) {
    raise_descriptor_limit();
    const sigset_t ending = uaio::tools::ending_signals();
    const int signals = uaio::tools::read_from_descriptor(ending);
    if (signals < 0) throw std::system_error(errno, std::system_category(), "signalfd");
    Output output;
    auto handler = uaio::http::directory(arguments.directory);
    uaio::EngineGroup group(arguments.threads);
    uaio::http::ServerOptions options;
    options.head_timeout = arguments.head_timeout;
    options.idle_timeout = arguments.idle_timeout;
    if (arguments.log) {
        options.access_log = [&output](const uaio::http::AccessRecord& record) {
            log_line(output, record);
        };
    }
    uaio::http::Server server(group, options);
    server.handle("GET", "/", handler).prefix();
    const std::string where = listen(server, arguments, group.size(), output);
    output.line("serving " + arguments.directory + " at " + where + " with " +
                std::to_string(group.size()) + (group.size() == 1 ? " thread" : " threads") +
                "; press Ctrl-C to stop");
    output.line(kernel_line(group.engine(0)));
    print_until_signal(signals, output, [] { return false; });
    drain(group.engine(0), server, signals, output);
    output.finish(std::chrono::seconds(1));
    // The destructors do not read the descriptor: a signal that arrives now kills the process.
    pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const Arguments arguments = uaio::serve::parse(argc, argv);
    try {
        return serve(arguments);
    } catch (const std::exception& error) {
        uaio::serve::complain(error.what());
        return 1;
    }
}
