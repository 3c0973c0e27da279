#include "bench/support/contest.h"

#include "bench/support/processor.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

namespace uaio::bench {
namespace {

struct Entry {
    std::string name;  // of the case
    std::string contender;
    Timing timing;
    Contender run;
};

std::vector<Entry>& entries() {
    static std::vector<Entry> all;
    return all;
}

void run_guarded(const Contender& run, benchmark::State& state) {
    try {
        run(state);
    } catch (const Unavailable& reason) {
        state.SkipWithError((std::string("unavailable: ") + reason.what()).c_str());
    } catch (const std::exception& error) {
        state.SkipWithError(error.what());
    }
}

void register_entry(const Entry& entry) {
    benchmark::internal::Benchmark* const registered = benchmark::RegisterBenchmark(
        (entry.name + "/" + entry.contender).c_str(),
        [run = entry.run](benchmark::State& state) { run_guarded(run, state); });
    if (entry.timing == Timing::wall) registered->UseRealTime();
    if (entry.timing == Timing::manual) registered->UseManualTime();
}

// Removes an argument from the command line; returns whether it was there.
bool take_argument(int& count, char** arguments, const char* wanted) {
    char** const end = arguments + count;
    char** const found = std::find_if(arguments + 1, end, [wanted](const char* argument) {
        return std::strcmp(argument, wanted) == 0;
    });
    if (found == end) return false;
    std::copy(found + 1, end, found);
    --count;
    return true;
}

}  // namespace

void add(std::string_view name, std::string_view contender, Timing timing, Contender run) {
    const auto same = [name](const Entry& entry) { return entry.name == name; };
    const auto last = std::find_if(entries().rbegin(), entries().rend(), same);
    const auto place = last == entries().rend() ? entries().end() : last.base();
    entries().insert(place, {std::string(name), std::string(contender), timing, std::move(run)});
}

}  // namespace uaio::bench

// --reverse runs all benchmarks in the opposite order, so that over two runs no contender has the
// better position.
int main(int argc, char** argv) {
    using namespace uaio::bench;
    pin_to_processor(Place::own);
    add_contenders();
    if (take_argument(argc, argv, "--reverse")) std::reverse(entries().begin(), entries().end());
    for (const Entry& entry : entries())
        register_entry(entry);
    utsname system{};
    if (uname(&system) == 0) benchmark::AddCustomContext("kernel", system.release);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
