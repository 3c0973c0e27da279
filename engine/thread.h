// Starts the library's threads, with signals blocked, so that the kernel does not deliver to them a
// signal which the program reads from a signalfd(2) or handles on a thread of its own (signal(7),
// "process-directed"). Not blocked are the signals that an instruction of the thread itself causes,
// which a crash handler would miss, and SIGPROF, by which profilers count. Any thread.
#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace uaio {

// Blocks them for the calling thread during its own lifetime; a new thread inherits the mask of its
// creator.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        sigset_t signals;
        ::sigfillset(&signals);
        for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF})
            ::sigdelset(&signals, own);
        ::pthread_sigmask(SIG_BLOCK, &signals, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_;
};

// Throws std::system_error (pthread_create(3)).
template <class Body>
std::thread start_thread(Body body) {
    const SignalsBlocked blocked;
    return std::thread(std::move(body));
}

}  // namespace uaio
