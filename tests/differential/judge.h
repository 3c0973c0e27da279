// Compares observations with the expectations of a row. A pure function of its arguments.
#pragma once

#include "tests/differential/child.h"

#include <string>
#include <vector>

namespace differential {

enum class Library { nng, uaio };

// A row's runs on nng and on uaio.
struct Pair {
    Played nng;
    Played uaio;
};

// The mismatches, a line each: a value of either library that the row does not name, and a stated
// difference that none of the runs shows.
std::vector<std::string> complaints(const Row& row, const std::vector<Pair>& runs);

// The differences that the row states, a line each with the reason.
std::vector<std::string> differences(const Row& row);

// One run in words.
std::string in_words(const Played& played);

}  // namespace differential
