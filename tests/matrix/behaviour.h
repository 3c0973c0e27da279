// The peer-behaviour matrix: how a peer may misbehave, and the expected result of each cell. Every
// role (http::Server, http::Client, a dial, a raw stream) has a table of phases, one row each; each
// row has a cell for each behaviour. For one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>
#include <vector>

namespace uaio::matrix {

using std::chrono::nanoseconds;

enum class Behaviour : unsigned char {
    stall,         // sends nothing more, and still reads
    drip,          // sends, or in a phase of reading reads, one byte a second
    announce,      // announces a length and sends nothing
    flood,         // sends without end, and never reads
    stop_reading,  // reads up to a byte and no further
    reset,         // resets the connection
    half_close,    // shuts its sending side down, and still reads
    garbage,       // sends malformed bytes
    extra,         // sends more after the end of its message
    cut,           // close(2), without TLS's closing alert
};
inline constexpr std::size_t kBehaviours = 10;

constexpr const char* name_of(Behaviour behaviour) {
    constexpr std::array<const char*, kBehaviours> kNames{
        "stall", "drip",       "announce", "flood", "stop reading",
        "reset", "half-close", "garbage",  "extra", "cut"};
    return kNames[static_cast<std::size_t>(behaviour)];
}

inline constexpr int kAny = -1;

// The expected result of one behaviour in one phase.
struct Cell {
    const char* not_applicable = nullptr;  // why there is nothing to run
    nanoseconds ends{0};                   // when, from the misbehaviour on
    int status = 0;  // the last status that a server's peer gets; 0: none; kAny: not checked
    std::error_code error = {};  // of the operation, where the peer is the server
    std::size_t count = 0;       // its exact count
};

inline Cell none(const char* why) { return {.not_applicable = why}; }
inline Cell answers(int status, nanoseconds ends) { return {.ends = ends, .status = status}; }
inline Cell fails(std::error_code error, nanoseconds ends = nanoseconds(0), std::size_t count = 0) {
    return {.ends = ends, .error = error, .count = count};
}
inline Cell succeeds(std::size_t count, nanoseconds ends = nanoseconds(0)) {
    return {.ends = ends, .count = count};
}

// A row: the peer's actions before it misbehaves, the bytes of its misbehaviour, and the cells in
// the order of Behaviour.
struct Phase {
    const char* name = "";
    std::string lead = {};  // sent first, in order
    bool kept = false;      // of a client: on a connection that has carried a transaction
    bool uploads = false;   // of a client: the request has content
    bool answered = false;  // the lead is answered before the misbehaviour
    std::size_t reads = std::string::npos;  // bytes of the rest that are read, with a window of 1
    bool raw = false;                       // misbehaves below TLS
    std::string drips = "x";                // sent byte by byte, repeatedly
    std::string announces = {};             // sent in place of the lead
    std::string floods = "x";               // sent repeatedly
    std::string garbage = {};
    std::string garbage_lead = {};  // in place of the lead, for garbage and flood
    std::array<Cell, kBehaviours> cells = {};
};

// Both in one table.
inline std::vector<Phase> joined(std::vector<Phase> phases, const std::vector<Phase>& more) {
    phases.insert(phases.end(), more.begin(), more.end());
    return phases;
}

}  // namespace uaio::matrix
