// Random sessions of streams and of HTTP servers on the simulated kernel, as many as fit the time:
// `./dev sim`. A failure prints the seed, and the same seed fails again. Each seed is a session of
// a stream; every fourth one of HTTP as well.
#include "tests/sim/http_run.h"
#include "tests/sim/transfer_run.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using Number = unsigned long long;

struct Options {
    std::uint64_t seed = 0;  // only this one; 0: many
    std::uint64_t first = 1;
    double seconds = 60;
};

// Events that must occur about once in a thousand runs, or the runs no longer test enough.
struct Mark {
    const char* name;
    std::uint64_t uaio::SimCounters::*counter;
};

constexpr Mark kMarks[] = {
    {"short writes", &uaio::SimCounters::short_writes},
    {"short reads", &uaio::SimCounters::short_reads},
    {"resets", &uaio::SimCounters::resets},
    {"receives without a buffer", &uaio::SimCounters::no_buffers},
    {"interrupted operations", &uaio::SimCounters::interrupted_operations},
    {"interrupted enters", &uaio::SimCounters::interrupted_enters},
    {"busy enters", &uaio::SimCounters::busy_enters},
    {"partial submissions", &uaio::SimCounters::partial_submissions},
    {"overflows", &uaio::SimCounters::overflows},
    {"reorders", &uaio::SimCounters::reorders},
    {"late cancels", &uaio::SimCounters::late_cancels},
    {"lost cancels", &uaio::SimCounters::lost_cancels},
    {"missed cancels", &uaio::SimCounters::missed_cancels},
    {"zero-copy without memory", &uaio::SimCounters::zero_copy_no_memory},
    {"zero-copy refused", &uaio::SimCounters::zero_copy_refused},
};
constexpr std::size_t kMarkCount = sizeof kMarks / sizeof kMarks[0];

struct Totals {
    std::uint64_t runs = 0;
    std::uint64_t failures = 0;
    std::uint64_t operations = 0;
    std::uint64_t transactions = 0;  // of HTTP, successful ones
    std::uint64_t marks[kMarkCount] = {};
};

int usage(const char* program) {
    std::fprintf(
        stderr,
        "%s [--seconds N] [--first SEED] [--seed SEED]\n  --seconds N   run new seeds for N "
        "seconds (60)\n  --first SEED  the first seed (1)\n  --seed SEED   run only this seed\n",
        program);
    return 2;
}

bool read(int count, char** words, Options& options) {
    for (int i = 1; i < count; i += 2) {
        if (i + 1 >= count) return false;
        const std::string name = words[i];
        char* end = nullptr;
        const double value = std::strtod(words[i + 1], &end);
        if (end == words[i + 1] || *end != '\0' || value < 0) return false;
        if (name == "--seconds") {
            options.seconds = value;
        } else if (name == "--first") {
            options.first = std::strtoull(words[i + 1], nullptr, 10);
        } else if (name == "--seed") {
            options.seed = std::strtoull(words[i + 1], nullptr, 10);
        } else {
            return false;
        }
    }
    return true;
}

void note(std::uint64_t seed, const std::string& wrong, Totals& totals) {
    if (wrong.empty()) return;
    ++totals.failures;
    std::printf("not ok seed %llu: %s\n  again: ./dev sim --seed %llu\n", static_cast<Number>(seed),
                wrong.c_str(), static_cast<Number>(seed));
}

void add_marks(const uaio::SimCounters& counters, Totals& totals) {
    for (std::size_t i = 0; i < kMarkCount; ++i)
        totals.marks[i] += counters.*kMarks[i].counter;
}

void run_one(std::uint64_t seed, Totals& totals) {
    uaio::TransferRun run(seed);
    const std::string wrong = run.run();
    ++totals.runs;
    add_marks(run.counters(), totals);
    totals.operations += run.statistics().operations;
    note(seed, wrong, totals);
}

void run_http(std::uint64_t seed, Totals& totals) {
    uaio::HttpRun run(seed);
    const std::string wrong = run.run();
    ++totals.runs;
    add_marks(run.counters(), totals);
    totals.transactions += run.successes();
    note(seed, wrong, totals);
}

void report(Totals& totals) {
    std::printf("%llu operations and %llu HTTP transactions in %llu runs\n",
                static_cast<Number>(totals.operations), static_cast<Number>(totals.transactions),
                static_cast<Number>(totals.runs));
    for (std::size_t i = 0; i < kMarkCount; ++i) {
        std::printf("  %-26s %llu\n", kMarks[i].name, static_cast<Number>(totals.marks[i]));
        if (totals.runs >= 1000 && totals.marks[i] * 1000 < totals.runs) {
            std::printf("not ok: %s occurred too rarely to be tested\n", kMarks[i].name);
            ++totals.failures;
        }
    }
}

}  // namespace

int main(int count, char** words) {
    Options options;
    if (!read(count, words, options)) return usage(words[0]);
    Totals totals;
    if (options.seed != 0) {
        run_one(options.seed, totals);
        run_http(options.seed, totals);
    } else {
        using Clock = std::chrono::steady_clock;
        const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
        for (std::uint64_t seed = options.first; Clock::now() < until && totals.failures < 10;
             ++seed) {
            run_one(seed, totals);
            if (seed % 4 == 0) run_http(seed, totals);
        }
        report(totals);
    }
    std::printf("%llu passed, %llu failed\n",
                static_cast<Number>(totals.runs - std::min(totals.runs, totals.failures)),
                static_cast<Number>(totals.failures));
    return totals.failures == 0 ? 0 : 1;
}
