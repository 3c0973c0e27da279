// Which signals the library's threads accept.
#include <uaio/engine_group.h>
#include <uaio/resolver.h>

#include "tests/support/child_process.h"
#include "tests/support/kernels.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>
#include <iterator>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::signal_test {

// Signals that a program waits for or handles; not those raised by a thread's own fault.
bool blocks_signals() {
    sigset_t blocked;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    const auto blocks = [&blocked](int signal) { return ::sigismember(&blocked, signal) == 1; };
    const int taken[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        const bool own = std::ranges::find(taken, signal) != std::end(taken);
        const bool reserved =
            signal == SIGKILL || signal == SIGSTOP || (signal > 31 && signal < SIGRTMIN);
        if (!reserved && blocks(signal) == own) return false;
    }
    return true;
}

TEST_CASE("every thread of the library blocks the signals of the program") {
    CHECK(!blocks_signals());
    EngineGroup group(2, options_on(KernelKind::io_uring));
    for (std::size_t i = 0; i < group.size(); ++i) {
        std::promise<bool> engine_blocks;
        group.engine(i).post([&] { engine_blocks.set_value(blocks_signals()); });
        CHECK(engine_blocks.get_future().get());
    }
    std::atomic<bool> resolver_blocks{false};
    Resolver resolver(
        {.lookup = [&](const std::string&, AddressFamily, std::vector<Endpoint>& out) {
            resolver_blocks = blocks_signals();
            out.push_back(Endpoint::loopback(0));
            return std::error_code();
        }});
    std::vector<Endpoint> found;
    Aio aio(group.engine(0));
    resolver.resolve("name.test", 80, AddressFamily::any, aio, found);
    CHECK(!aio.wait());
    CHECK(resolver_blocks);
    CHECK(!blocks_signals());
}

TEST_CASE("a signal that the program blocks after it created an EngineThread stays pending") {
    const ChildEnd end = run_in_child([]() -> std::string {
        const EngineThread io(options_on(KernelKind::io_uring));
        sigset_t term;
        ::sigemptyset(&term);
        ::sigaddset(&term, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &term, nullptr);
        ::kill(::getpid(), SIGTERM);
        int taken = 0;
        return ::sigwait(&term, &taken) == 0 && taken == SIGTERM ? ""
                                                                 : "the signal was not received";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

}  // namespace uaio::signal_test
