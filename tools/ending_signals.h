// The signals that end uaio-send and uaio-serve, read from a descriptor. For the main thread,
// before any other exists.
#pragma once

#include <sys/signalfd.h>

#include <csignal>

namespace uaio::tools {

// SIGINT, SIGTERM and SIGHUP. An ignored SIGHUP, as under nohup(1), stays ignored.
inline sigset_t ending_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    struct sigaction hangup {};
    ::sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
    return signals;
}

// Returns a signalfd(2) for `signals`, or -1 with errno. Blocks them, so that every thread leaves
// them to the descriptor, and ignores SIGPIPE.
inline int read_from_descriptor(const sigset_t& signals) {
    std::signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return ::signalfd(-1, &signals, SFD_CLOEXEC);
}

}  // namespace uaio::tools
