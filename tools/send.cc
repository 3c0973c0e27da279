// uaio-send: connects standard input and output to any URL, through any proxy.
#include "tools/ending_signals.h"
#include "tools/send_options.h"
#include "tools/send_session.h"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>

namespace {

int take_signals() {
    const int descriptor = uaio::tools::read_from_descriptor(uaio::tools::ending_signals());
    if (descriptor >= 0) return descriptor;
    std::perror("uaio-send: signalfd");
    std::exit(static_cast<int>(uaio::send::ExitCode::this_machine));
}

// Makes a context only for TLS, since reading the system's authorities takes a while; without one
// the Dialer makes its own if it needs one.
void make_contexts(uaio::send::Arguments& arguments) {
    using uaio::send::is_plain;
    if (const char* const file = std::getenv("SSLKEYLOGFILE")) arguments.tls.key_log_file = file;
    if (!is_plain(arguments.target)) arguments.dial.tls_context.emplace(arguments.tls);
    const uaio::tls::ContextOptions& proxy = arguments.proxy_tls;
    if (!proxy.authorities.empty() || !proxy.verify_peer) {
        arguments.dial.proxy_tls_context.emplace(proxy);
    }
}

// Ends by SIGALRM, a second after --max-time, anything that Session cannot bound itself:
// authorities read from a pipe, a file system or a terminal that blocks.
void bound(std::chrono::nanoseconds max_time) {
    constexpr auto kEnd = [](int) { ::_exit(static_cast<int>(uaio::send::ExitCode::timed_out)); };
    constexpr std::int64_t kMost = 100'000'000;  // seconds, three years
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(max_time);
    itimerval timer{};
    timer.it_value.tv_sec = std::min<std::int64_t>(time.count() / 1'000'000, kMost) + 1;
    timer.it_value.tv_usec = time.count() % 1'000'000;
    std::signal(SIGALRM, kEnd);
    ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace uaio::send;
    Arguments arguments = parse(argc, argv);
    if (arguments.max_time) bound(*arguments.max_time);
    const int signals = take_signals();
    try {
        make_contexts(arguments);
    } catch (const std::system_error& error) {
        refuse(error.what());
    }
    try {
        return Session(arguments, signals).run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "uaio-send: %s\n", error.what());
        return static_cast<int>(ExitCode::this_machine);
    }
}
