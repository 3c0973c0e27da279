// The peer-behaviour matrix: what a peer may do wrong, and what a cell of the matrix expects. A
// table of phases, one row each, belongs to every role (http::Server, http::Client, a dial, a raw
// stream); each row has a cell for each behaviour. For one thread.
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
    stall,         // does nothing more, and reads what comes
    drip,          // sends, or in a phase of reading reads, one byte a second
    announce,      // announces a length and sends nothing
    flood,         // sends on and on, and never reads
    stop_reading,  // reads up to a byte and no further
    reset,         // resets the connection
    half_close,    // sends its end, and reads on
    garbage,       // sends what has no place there
    extra,         // sends more behind the end of its message
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
    const char* not_applicable = nullptr;  // why there is nothing to play
    nanoseconds ends{0};                   // when, from the misbehaviour on
    int status = 0;  // the last status that a server's peer sees; 0: none; kAny: of no importance
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

// A row: what the peer does before it misbehaves, the bytes that it misbehaves with, and the cells
// in the order of Behaviour.
struct Phase {
    const char* name = "";
    std::string lead = {};  // said first, in order
    bool kept = false;      // of a client: on a connection that has carried a transaction
    bool uploads = false;   // of a client: the request has content
    bool answered = false;  // the lead is answered before the misbehaviour
    std::size_t reads = std::string::npos;  // bytes of what follows that are read, of a window of 1
    bool raw = false;                       // misbehaves below TLS
    std::string drips = "x";                // said byte by byte, again and again
    std::string announces = {};             // said in place of the lead
    std::string floods = "x";               // said again and again
    std::string garbage = {};
    std::string garbage_lead = {};  // in place of the lead, for garbage and flood
    std::array<Cell, kBehaviours> cells = {};
};

// One table of both.
inline std::vector<Phase> joined(std::vector<Phase> phases, const std::vector<Phase>& more) {
    phases.insert(phases.end(), more.begin(), more.end());
    return phases;
}

}  // namespace uaio::matrix
