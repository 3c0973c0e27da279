// Runs every row on nng and on uaio, on each of uaio's kernels, and prints a line for each case in
// the format of tests/run.py. UAIO_KERNEL=io_uring or epoll chooses one kernel.
//
//     differential [--table] [--only PART]      PART of a row's id or title
#include "tests/differential/judge.h"
#include "tests/differential/self_check.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace differential {
namespace {

struct Kernel {
    const char* name;
    uaio::KernelKind kind;
};

struct Options {
    bool table = false;
    std::string only;
};

std::vector<Kernel> kernels() {
    const std::vector<Kernel> all = {{"io_uring", uaio::KernelKind::io_uring},
                                     {"epoll", uaio::KernelKind::epoll}};
    const char* const wanted = std::getenv("UAIO_KERNEL");
    for (const Kernel& kernel : all) {
        if (wanted && std::strcmp(wanted, kernel.name) == 0) return {kernel};
    }
    return all;
}

std::vector<Played> play_runs(const Row& row, const DriverFactory& factory) {
    std::vector<Played> runs;
    for (unsigned run = 0; run < row.runs; ++run) {
        runs.push_back(Child(row.scenario, factory).join());
    }
    return runs;
}

void print_table_line(const Row& row, const char* kernel, const Pair& run) {
    std::printf("| %s %s | %s | %s (%s) |", row.id.c_str(), row.title.c_str(),
                in_words(run.nng).c_str(), in_words(run.uaio).c_str(), kernel);
    bool first = true;
    for (const Expectation& expected : row.expectations) {
        if (expected.nng == expected.uaio) continue;
        std::printf("%s %s: %s", first ? "" : ";", expected.field.c_str(), expected.reason.c_str());
        first = false;
    }
    std::printf("%s |\n", first ? " same" : "");
}

// False if the case failed.
bool report(const Row& row, const char* kernel, const std::vector<Pair>& runs, bool table) {
    const std::string name = row.id + ' ' + row.title + " [" + kernel + ']';
    if (!runs[0].uaio.refused.empty()) {
        std::printf("skip %s: the kernel refuses it, %s\n", name.c_str(),
                    runs[0].uaio.refused.c_str());
        return true;
    }
    if (table) print_table_line(row, kernel, runs[0]);
    const std::vector<std::string> found = complaints(row, runs);
    if (found.empty()) {
        if (!table) {
            for (const std::string& line : differences(row))
                std::printf("  %s\n", line.c_str());
            std::printf("ok %s\n", name.c_str());
        }
        return true;
    }
    for (const std::string& line : found)
        std::printf("  %s\n", line.c_str());
    std::printf("  nng  %s\n  uaio %s\n", in_words(runs[0].nng).c_str(),
                in_words(runs[0].uaio).c_str());
    std::printf("not ok %s: %zu not as expected\n", name.c_str(), found.size());
    return false;
}

bool play(const Row& row, bool table) {
    const std::vector<Played> nng = play_runs(row, make_nng_driver);
    bool passed = true;
    for (const Kernel& kernel : kernels()) {
        const std::vector<Played> uaio =
            play_runs(row, [&] { return make_uaio_driver(kernel.kind); });
        std::vector<Pair> runs;
        for (std::size_t i = 0; i < uaio.size(); ++i)
            runs.push_back({nng[i], uaio[i]});
        passed = report(row, kernel.name, runs, table) && passed;
        std::fflush(stdout);
    }
    return passed;
}

int play_all(const Options& options) {
    Rows all;
    for (Rows (*rows)() :
         {write_rows, cancel_rows, timeout_rows, close_rows, misuse_rows, read_rows, client_rows}) {
        const Rows some = rows();
        all.insert(all.end(), some.begin(), some.end());
    }
    if (options.table) std::printf("| row | nng | uaio | same, or why not |\n|---|---|---|---|\n");
    bool passed = options.table || check_judge();
    for (const Row& row : all) {
        const std::string name = row.id + ' ' + row.title;
        if (name.find(options.only) == name.npos) continue;
        passed = play(row, options.table) && passed;
    }
    return passed ? 0 : 1;
}

}  // namespace
}  // namespace differential

int main(int argc, char** argv) {
    differential::Options options;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--table") == 0) {
            options.table = true;
        } else if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            options.only = argv[++i];
        } else {
            std::fprintf(stderr, "usage: differential [--table] [--only PART]\n");
            return 2;
        }
    }
    return differential::play_all(options);
}
