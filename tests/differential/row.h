// A row of the comparison: one scenario, run on both libraries, and the expected observations. Rows
// are numbered as in the list of nng's semantics that the contract was made from: W for writes and
// cancels, R for reads, X for the client. A value type.
#pragma once

#include "tests/differential/stage.h"

#include <string>
#include <vector>

namespace differential {

// One observed field. Values may name alternatives, with " | " between them.
struct Expectation {
    std::string field;
    std::string nng;
    std::string uaio;
    std::string reason;  // why they differ; empty if they must not
    bool always = true;  // at least one run shows the difference
};

inline Expectation same(std::string field, std::string value) {
    return {std::move(field), value, value, {}, false};
}

inline Expectation differs(std::string field, std::string nng, std::string uaio,
                           std::string reason) {
    return {std::move(field), std::move(nng), std::move(uaio), std::move(reason), true};
}

// A difference that depends on a race inside nng or between the two sides.
inline Expectation may_differ(std::string field, std::string nng, std::string uaio,
                              std::string reason) {
    return {std::move(field), std::move(nng), std::move(uaio), std::move(reason), false};
}

// A library that aborts the process yields this field and its value alone. Unless a row says
// otherwise both live.
inline const std::string kProcess = "process";
inline const std::string kLives = "lives";
inline const std::string kDies = "dies of SIGABRT";

struct Row {
    std::string id;
    std::string title;
    void (*scenario)(Stage&);
    std::vector<Expectation> expectations;
    unsigned runs = 1;  // for races: each must be as expected, and one must show the difference
};

using Rows = std::vector<Row>;

// Each in a file of its own.
Rows write_rows();    // W-1 to W-12: the bytes sent
Rows cancel_rows();   // W-13 to W-19, W-51 to W-55: cancel, abort, stop, free
Rows timeout_rows();  // W-20 to W-28
Rows close_rows();    // W-29 to W-42: either side closes or resets
Rows misuse_rows();   // W-43 to W-49, and threads
Rows read_rows();
Rows client_rows();   // connecting, a request and its response

}  // namespace differential
