#include "tests/differential/judge.h"

#include <algorithm>

namespace differential {
namespace {

const std::string& process_end(const Played& played) { return played.died ? kDies : kLives; }

bool is_one_of(const std::string& value, const std::string& alternatives) {
    const std::string separator = " | ";
    return (separator + alternatives + separator).find(separator + value + separator) !=
           std::string::npos;
}

Expectation expectation_of(const Row& row, const std::string& field) {
    for (const Expectation& expected : row.expectations) {
        if (expected.field == field) return expected;
    }
    return field == kProcess ? same(kProcess, kLives) : same(field, "");
}

// The value of a field; nullptr if the process died before it was observed.
const std::string* value_of(const Played& played, const std::string& field) {
    if (field == kProcess) return &process_end(played);
    return played.died ? nullptr : played.observation.find(field);
}

void check_run(const Row& row, Library library, const Played& played,
               std::vector<std::string>& found) {
    const std::string name = library == Library::nng ? "nng: " : "uaio: ";
    if (!played.failure.empty()) found.push_back(name + played.failure);
    const auto check = [&](const std::string& field, const std::string& value) {
        const Expectation expected = expectation_of(row, field);
        const std::string& wanted = library == Library::nng ? expected.nng : expected.uaio;
        if (is_one_of(value, wanted)) return;
        found.push_back(name + field + " is \"" + value + "\", expected " +
                        (wanted.empty() ? "no such thing" : '"' + wanted + '"'));
    };
    check(kProcess, process_end(played));
    if (played.died || !played.failure.empty()) return;
    for (const auto& [field, value] : played.observation.fields())
        check(field, value);
    for (const Expectation& expected : row.expectations) {
        if (!value_of(played, expected.field)) {
            found.push_back(name + expected.field + " was not observed");
        }
    }
}

// True if the difference is in the values of one run, or undecidable since one of the processes
// died first.
bool shows(const Expectation& expected, const std::vector<Pair>& runs) {
    return std::any_of(runs.begin(), runs.end(), [&](const Pair& run) {
        const std::string* const nng = value_of(run.nng, expected.field);
        const std::string* const uaio = value_of(run.uaio, expected.field);
        return !nng || !uaio || *nng != *uaio;
    });
}

}  // namespace

std::vector<std::string> complaints(const Row& row, const std::vector<Pair>& runs) {
    std::vector<std::string> found;
    for (const Pair& run : runs) {
        check_run(row, Library::nng, run.nng, found);
        check_run(row, Library::uaio, run.uaio, found);
    }
    for (const Expectation& expected : row.expectations) {
        if (expected.always && !shows(expected, runs)) {
            found.push_back("the stated difference in " + expected.field + " did not occur");
        }
    }
    return found;
}

std::vector<std::string> differences(const Row& row) {
    std::vector<std::string> lines;
    for (const Expectation& expected : row.expectations) {
        if (expected.nng == expected.uaio) continue;
        lines.push_back(expected.field + ": nng " + expected.nng + "; uaio " + expected.uaio +
                        "; since " + expected.reason);
    }
    return lines;
}

std::string in_words(const Played& played) {
    if (!played.failure.empty()) return played.failure;
    return played.died ? kDies : played.observation.to_string();
}

}  // namespace differential
