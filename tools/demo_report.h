// The output of the demo: a progress line, figures and a table. For the main thread.
#pragma once

#include <uaio/engine.h>

#include "tools/demo_server.h"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::demo {

// Returns 1234567 as "1,234,567".
inline std::string grouped(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;)
        text.insert(at -= 3, ",");
    return text;
}

// One line, overwritten on a terminal; elsewhere a new line now and then.
class Progress {
public:
    explicit Progress(std::string what) : what_(std::move(what)) {}
    ~Progress() {
        if (terminal_) std::printf("\r\033[K");
        std::fflush(stdout);
    }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // Shows `done`, the bytes so far, unless it has just been shown.
    void show(std::size_t done) {
        const Clock::time_point now = Clock::now();
        if (now < next_) return;
        next_ = now + pause_;
        std::printf("%s  %s: %.0f MB, %.1f s%s", terminal_ ? "\r\033[K" : "", what_.c_str(),
                    static_cast<double>(done) / 1e6, seconds(), terminal_ ? "" : "\n");
        std::fflush(stdout);
    }

    double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

private:
    const std::string what_;
    const bool terminal_ = ::isatty(STDOUT_FILENO) == 1;
    const std::chrono::milliseconds pause_{terminal_ ? 100 : 3000};
    const Clock::time_point began_ = Clock::now();
    Clock::time_point next_ = began_ + pause_;
};

// The cost of one transfer: the difference between two snapshots of an engine's statistics.
class Costs {
public:
    explicit Costs(const Engine& engine) : engine_(engine), before_(engine.statistics()) {}

    // Returns a row of the table below head().
    std::string row(std::string_view what, const Answer& answer, double seconds) const {
        const EngineStatistics now = engine_.statistics();
        const std::uint64_t operations = now.operations - before_.operations;
        const double calls = static_cast<double>(now.enters - before_.enters);
        char line[160];
        std::snprintf(
            line, sizeof line, kColumns, std::string(what).c_str(), grouped(answer.count).c_str(),
            static_cast<double>(answer.count) / 1e6 / seconds, grouped(answer.writes).c_str(),
            grouped(answer.entries).c_str(), grouped(now.submissions - before_.submissions).c_str(),
            grouped(now.short_writes - before_.short_writes).c_str(),
            calls / static_cast<double>(operations));
        return line;
    }

    static std::string head() {
        char line[160];
        std::snprintf(line, sizeof line, "  %-12s %13s %8s %10s %8s %12s %12s %9s\n", "", "bytes",
                      "MB/s", "write_all", "entries", "submissions", "resubmitted", "calls/op");
        return line;
    }

private:
    static constexpr const char* kColumns = "  %-12s %13s %8.1f %10s %8s %12s %12s %9.2f\n";

    const Engine& engine_;
    const EngineStatistics before_;
};

}  // namespace uaio::demo
