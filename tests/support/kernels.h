// The kernels that a test runs on: TEST_CASE_TEMPLATE("...", Kernel, OnLinux, OnPoll) runs it once
// on io_uring and once on epoll. Also the timeout of a test's waits. Any thread.
#pragma once

#include <uaio/engine.h>

#include <chrono>

#include <doctest/doctest.h>

namespace uaio {

struct OnLinux {
    static constexpr KernelKind kKind = KernelKind::io_uring;
};
struct OnPoll {
    static constexpr KernelKind kKind = KernelKind::epoll;
};
// For a ConnectionFixture alone: a simulated kernel and its peer.
struct OnSim {
    static constexpr auto kKind = static_cast<KernelKind>(100);
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

#ifdef NDEBUG
inline constexpr bool kMisuseStops = false;
#else
inline constexpr bool kMisuseStops = true;  // debug builds abort on misuse
#endif

// The timeout of every wait in a test.
inline constexpr std::chrono::seconds kPatience{kSanitized ? 60 : 20};

// The same options on `kind`. Where io_uring is refused, or UAIO_KERNEL is epoll, the test runs on
// epoll instead, and is reported to tests/run.py as skipped.
EngineOptions options_on(KernelKind kind, EngineOptions options = {});

// Reports to tests/run.py that the running test could not do its work.
void report_skip(const char* why);

}  // namespace uaio

TYPE_TO_STRING_AS("linux", uaio::OnLinux);
TYPE_TO_STRING_AS("poll", uaio::OnPoll);
TYPE_TO_STRING_AS("sim", uaio::OnSim);
