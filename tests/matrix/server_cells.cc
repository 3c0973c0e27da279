// The reaction of http::Server to each misbehaviour of a client in each phase: the last status that
// the client gets, and when its connection is closed. All times are defaults of ServerOptions:
// head_timeout 20 s, idle_timeout 75 s, content_timeout 60 s, send_timeout 60 s and 1 s for each 16
// KiB of a response, linger_timeout 2 s; of tls::ListenerOptions handshake_timeout 10 s; and the
// handlers' own 5 s.
#include "tests/matrix/server_scene.h"

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

constexpr nanoseconds kHeadTime = 20s;
constexpr nanoseconds kIdleTime = 75s;
constexpr nanoseconds kContent = 60s;
constexpr nanoseconds kSend = 60s;
// The server sends a file of 200 KiB in pieces of 128 and 72 KiB, each with its own timeout.
constexpr nanoseconds kPiece = 8s;
constexpr nanoseconds kLastPiece = 4s;
constexpr nanoseconds kHandshake = 10s;
constexpr nanoseconds kHandler = 5s;

const char* const kNothingToRead = "the server sends nothing in this phase";
const char* const kGarbageToServers = "the bytes behind a request are the next one: see garbage";
const char* const kIsRequestHead = "the first byte begins a request head";

const std::string kGet = "GET /small HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kNoRequest = "\x01\x02 not a request\r\n\r\n";
const std::string kCollect = "POST /collect HTTP/1.1\r\nHost: h\r\n";
const std::string kStream = "POST /stream HTTP/1.1\r\nHost: h\r\n";
const std::string kPartOfContent = "Content-Length: 1000\r\n\r\n0123456789";
const std::string kChunkedField = "Transfer-Encoding: chunked\r\n\r\n";
const std::string kChunk = "100\r\n" + std::string(256, 'c') + "\r\n";

// The order of the cells: stall, drip, announce, flood, stop reading, reset, half-close, garbage,
// extra, cut.
std::vector<Phase> server_request_phases() {
    return {
        {.name = "before the first request",
         .garbage = kNoRequest,
         .cells = {answers(0, kIdleTime), none(kIsRequestHead), none(kNoLength),
                   none(kIsRequestHead), none(kNothingToRead), answers(0, kNow), answers(0, kNow),
                   answers(400, kNow), none(kGarbageToServers), answers(0, kNow)}},
        {.name = "request head",
         .lead = "GET /small HTTP/1.1\r\nHo",
         .garbage = kNoRequest,
         .cells = {answers(408, kHeadTime), answers(408, kHeadTime), none(kNoLength),
                   answers(0, kNow), none(kNothingToRead), answers(0, kNow), answers(0, kNow),
                   answers(400, kNow), none(kGarbageToServers), answers(0, kNow)}},
        {.name = "request content, collected",
         .lead = kCollect + kPartOfContent,
         .announces = kCollect + "Content-Length: 1048576\r\n\r\n",
         .floods = kChunk,
         .garbage = "no size\r\n",
         .garbage_lead = kCollect + kChunkedField,
         .cells = {answers(408, kContent), answers(408, kContent), answers(408, kContent),
                   answers(0, 1600ms),
                   none("the server sends no 100 Continue for content that has begun"),
                   answers(0, kNow), answers(0, kNow), answers(400, kNow), none(kGarbageToServers),
                   answers(0, kNow)}},
        {.name = "request content after 100 Continue",
         .lead = kCollect + "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
         .reads = 5,
         .garbage = "x",
         .cells = {none(kSameAsStop), answers(kAny, kContent + kSend), none(kNoLength),
                   none("see request content, collected"), answers(0, kSend), answers(0, kNow),
                   answers(100, kNow), none("see request content, collected"),
                   none(kGarbageToServers), answers(0, kNow)}},
        {.name = "request content, streamed",
         .lead = kStream + kPartOfContent,
         .announces = kStream + "Content-Length: 1000000000\r\n\r\n",
         .floods = kChunk,
         .garbage = "no size\r\n",
         .garbage_lead = kStream + kChunkedField,
         .cells = {answers(0, kHandler), answers(0, kHandler), answers(0, kHandler),
                   answers(0, kHandler), none(kNothingToRead), answers(0, kNow), answers(0, kNow),
                   answers(0, kNow), none(kGarbageToServers), answers(0, kNow)}},
    };
}

std::vector<Phase> server_response_phases() {
    return {
        {.name = "between request and response",
         .lead = get("/late"),
         .drips = kGet,
         .floods = kGet,
         .garbage = kNoRequest,
         .cells = {answers(200, kHandler + kIdleTime), answers(408, kHandler + kHeadTime),
                   none(kNoLength), answers(0, kHandler + kSend), answers(0, kHandler + kIdleTime),
                   answers(0, kHandler), answers(200, kHandler), answers(400, kHandler),
                   none(kGarbageToServers), answers(0, kHandler)}},
        response_phase("response head", "/small", 10, kSend, 0),
        response_phase("response content", "/big", 5000, kSend + 64s, 200),
        response_phase("response head of a file", "/file", 10, kSend, 0),
        response_phase("response content of a file", "/file", 5000, kSend + kPiece, 200),
        {.name = "idle kept connection",
         .lead = kGet,
         .answered = true,
         .drips = kGet,
         .floods = kGet,
         .garbage = kNoRequest,
         .cells = {answers(200, kIdleTime), answers(408, kHeadTime), none(kNoLength),
                   answers(200, kSend), none(kNothingToRead), answers(200, kNow),
                   answers(200, kNow), answers(400, kNow), none(kGarbageToServers),
                   answers(200, kNow)}},
        {.name = "closing, requested",
         .lead = "GET /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         .answered = true,
         .drips = kGet,
         .floods = kGet,
         .garbage = kNoRequest,
         .cells = {answers(200, kNow), answers(200, kNow), none(kNoLength), answers(200, kNow),
                   answers(200, kNow), answers(200, kNow), answers(200, kNow), answers(200, kNow),
                   answers(200, kNow), answers(200, kNow)}},
        {.name = "closing, with content that is refused",
         .lead = kCollect + "Content-Length: 99999999\r\n\r\n",
         .answered = true,
         .garbage = kNoRequest,
         .cells = {answers(413, kNow), answers(413, kNow), none(kNoLength), answers(413, kNow),
                   answers(413, kNow), answers(413, kNow), answers(413, kNow), answers(413, kNow),
                   answers(413, kNow), answers(413, kNow)}},
        {.name = "closing, with content that no handler reads",
         .lead = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n",
         .answered = true,
         .garbage = kNoRequest,
         .cells = {answers(200, kNow), answers(200, kNow), none(kNoLength), answers(200, kNow),
                   answers(200, kNow), answers(200, kNow), answers(200, kNow), answers(200, kNow),
                   answers(200, kNow), answers(200, kNow)}},
    };
}

}  // namespace

std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

Phase response_phase(const char* name, const char* target, std::size_t reads, nanoseconds ends,
                     int seen) {
    return {.name = name,
            .lead = get(target),
            .reads = reads,
            .floods = kGet,
            .garbage = kNoRequest,
            .cells = {none(kSameAsStop), answers(kAny, ends), none(kNoLength), answers(seen, ends),
                      answers(seen, ends), answers(seen, kNow), answers(200, kNow),
                      answers(seen, ends), none(kGarbageToServers), answers(seen, kNow)}};
}

Cell drained(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    const std::string name = phase.name;
    // No request has begun, so the server closes the connection at once.
    if (name == "before the first request") return answers(0, kNow);
    if (name == "idle kept connection") return answers(200, kNow);
    // No request follows the one that has begun.
    if (name != "between request and response") return cell;
    const bool reads = behaviour == Behaviour::stall || behaviour == Behaviour::drip ||
                       behaviour == Behaviour::half_close || behaviour == Behaviour::garbage;
    return answers(reads ? 200 : 0, kHandler);
}

void stop_everywhere(const Transport& transport) {
    const auto stop = [&transport](const char* target, std::size_t offset, nanoseconds ends) {
        const Phase phase = response_phase("stop", target, offset, ends, kAny);
        const std::string where = std::string(target) + " at " + std::to_string(offset) + ": ";
        const Cell& cell = phase.cells[static_cast<std::size_t>(Behaviour::stop_reading)];
        CHECK(where + ServerScene(transport).play(phase, Behaviour::stop_reading, cell) == where);
    };
    const std::size_t small = ServerScene(transport).size_of("/small");
    // The very last byte is in the window.
    for (std::size_t offset = 0; offset + 1 < small; ++offset)
        stop("/small", offset, kSend);
    for (const std::size_t offset : {1u, 3000u, 16384u, 65536u, 300000u, 900000u})
        stop("/big", offset, kSend + 64s);
    for (const std::size_t offset : {300u, 1000u, 20000u})
        stop("/file", offset, kSend + kPiece);
    stop("/file", 100000, kSend + kLastPiece);
}

const std::vector<Phase>& server_phases() {
    static const std::vector<Phase> phases =
        joined(server_request_phases(), server_response_phases());
    return phases;
}

const std::vector<Phase>& server_handshake_phases() {
    static const std::array<Cell, kBehaviours> half = {answers(0, kHandshake),
                                                       answers(0, kHandshake),
                                                       none("the hello has announced one"),
                                                       answers(0, kNow),
                                                       none("the server has sent nothing"),
                                                       answers(0, kNow),
                                                       answers(0, kNow),
                                                       answers(0, kNow),
                                                       none("see flood"),
                                                       answers(0, kNow)};
    static const std::array<Cell, kBehaviours> flight = {none(kSameAsStop),
                                                         answers(0, kHandshake),
                                                         none("see TLS: half of a hello"),
                                                         none("see TLS: half of a hello"),
                                                         answers(0, kHandshake),
                                                         answers(0, kNow),
                                                         answers(0, kNow),
                                                         answers(0, kNow),
                                                         none("see garbage"),
                                                         answers(0, kNow)};
    static const std::array<Cell, kBehaviours> silent = {answers(0, kHandshake),
                                                         none("see TLS: half of a hello"),
                                                         none("see TLS: the header of a record"),
                                                         none("see TLS: half of a hello"),
                                                         none(kNothingToRead),
                                                         answers(0, kNow),
                                                         answers(0, kNow),
                                                         answers(0, kNow),
                                                         none("see garbage"),
                                                         answers(0, kNow)};
    static const std::vector<Phase> phases = {
        {.name = "TLS: no byte", .raw = true, .garbage = kNoRequest, .cells = silent},
        {.name = "TLS: half of a hello",
         .lead = "half",
         .raw = true,
         .garbage = kNoRequest,
         .garbage_lead = "nothing",
         .cells = half},
        {.name = "TLS: the server's flight",
         .lead = "hello",
         .reads = 20,
         .raw = true,
         .garbage = kNoRequest,
         .cells = flight},
    };
    return phases;
}

}  // namespace uaio::matrix
