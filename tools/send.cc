// uaio-send: raw bytes to any URL through any proxy: standard input to the connection, and back.
#include "tools/send_options.h"
#include "tools/send_session.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>

namespace {

// A descriptor that is opened must not become standard input or output where one was closed.
void open_standard_descriptors() {
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = ::open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO) ::close(fd);
}

// Blocked before any thread is made, so that all of them leave the signals to the descriptor.
int take_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return ::signalfd(-1, &signals, SFD_CLOEXEC);
}

// Reading the authorities of the system takes a while, which only TLS is worth; where no context is
// made here the Dialer makes its own, if it needs one.
void make_contexts(uaio::send::Arguments& arguments) {
    using uaio::send::is_plain;
    if (const char* const file = std::getenv("SSLKEYLOGFILE")) arguments.tls.key_log_file = file;
    if (!is_plain(arguments.target)) arguments.dial.tls_context.emplace(arguments.tls);
    const uaio::tls::ContextOptions& proxy = arguments.proxy_tls;
    if (!proxy.authorities.empty() || !proxy.verify_peer) {
        arguments.dial.proxy_tls_context.emplace(proxy);
    }
}

}  // namespace

int main(int argc, char** argv) {
    using namespace uaio::send;
    open_standard_descriptors();
    Arguments arguments = parse(argc, argv);
    try {
        make_contexts(arguments);
    } catch (const std::system_error& error) {
        refuse(error.what());
    }
    try {
        return Session(arguments, take_signals()).run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "uaio-send: %s\n", error.what());
        return static_cast<int>(ExitCode::this_machine);
    }
}
