// The reaction of http::Client to each misbehaviour of a server in each phase: how the transaction
// ends, with how much content, and when; for a kept connection, when the client closes it. The
// transaction's own deadline is 39.5 s; ClientOptions::connect_timeout and idle_timeout are 30 s.
#include <uaio/http_error.h>
#include <uaio/tls_error.h>

#include "tests/matrix/client_scene.h"

#include <cerrno>

namespace uaio::matrix {
namespace {

constexpr nanoseconds kConnect = 30s;
constexpr nanoseconds kKeptIdle = 30s;

const char* const kRequestIsRead = "the request has been read";
const char* const kNoMessage = "no message has ended";
const char* const kNoPeer = "nothing is connected";

const std::string kNoResponse = "\x01\x02 not a response\r\n\r\n";
const std::string kStatusLine = "HTTP/1.1 200 OK\r\n";
const std::string kPartOfResponse = kStatusLine + "Content-Length: 1000\r\n\r\n0123456789";
const std::string kChunkedResponse = kStatusLine + "Transfer-Encoding: chunked\r\n\r\n";
const std::string kWholeResponse = kStatusLine + "Content-Length: 2\r\n\r\nok";

std::vector<Phase> client_request_phases(bool tls) {
    const std::error_code cut =
        tls ? make_error_code(Errc::truncated) : make_error_code(HttpErrc::no_response);
    return {
        {.name = "connect",
         .cells = {fails(Errc::timed_out, kConnect), none(kNoPeer), none(kNoPeer), none(kNoPeer),
                   none(kNoPeer), fails({ECONNREFUSED, std::system_category()}), none(kNoPeer),
                   none(kNoPeer), none(kNoPeer), none(kNoPeer)}},
        {.name = "request head",
         .kept = true,
         .reads = 10,
         .garbage = kNoResponse,
         .cells = {none(kSameAsStop), fails(Errc::timed_out, kDeadline), none(kNoLength),
                   fails(HttpErrc::bad_start_line), fails(Errc::timed_out, kDeadline),
                   fails(Errc::connection_reset), fails(HttpErrc::no_response),
                   fails(HttpErrc::bad_start_line), none(kNoMessage),
                   fails(Errc::connection_reset)}},
        {.name = "request content",
         .kept = true,
         .uploads = true,
         .reads = 5000,
         .garbage = kNoResponse,
         .cells = {none(kSameAsStop), fails(Errc::timed_out, kDeadline), none(kNoLength),
                   fails(HttpErrc::bad_start_line), fails(Errc::timed_out, kDeadline),
                   fails(Errc::connection_reset), fails(HttpErrc::no_response),
                   fails(HttpErrc::bad_start_line), none(kNoMessage),
                   fails(Errc::connection_reset)}},
        {.name = "between request and response",
         .drips = kStatusLine + "X: " + std::string(100, 'x'),
         .floods = "X: x\r\n",
         .garbage = kNoResponse,
         .garbage_lead = kStatusLine,
         .cells = {fails(Errc::timed_out, kDeadline), fails(Errc::timed_out, kDeadline),
                   none(kNoLength), fails(HttpErrc::too_many_fields), none(kRequestIsRead),
                   fails(Errc::connection_reset), fails(HttpErrc::no_response),
                   fails(HttpErrc::bad_field_name), none(kNoMessage), fails(cut)}},
        {.name = "interim responses",
         .lead = "HTTP/1.1 100 Continue\r\n\r\n",
         .drips = "HTTP/1.1 103 Early Hints\r\nX: " + std::string(100, 'x'),
         .floods = "HTTP/1.1 100 Continue\r\n\r\n",
         .garbage = kNoResponse,
         .cells = {fails(Errc::timed_out, kDeadline), fails(Errc::timed_out, kDeadline),
                   none(kNoLength), fails(HttpErrc::too_many_interim_responses),
                   none(kRequestIsRead), fails(Errc::connection_reset),
                   fails(HttpErrc::no_response), fails(HttpErrc::bad_start_line), none(kNoMessage),
                   fails(cut)}},
    };
}

std::vector<Phase> client_response_phases(bool tls) {
    return {
        {.name = "response head",
         .lead = kStatusLine + "Conte",
         .garbage = kNoResponse,
         .garbage_lead = kStatusLine,
         .cells = {fails(Errc::timed_out, kDeadline), fails(Errc::timed_out, kDeadline),
                   none(kNoLength), fails(HttpErrc::field_too_long), none(kRequestIsRead),
                   fails(Errc::connection_reset), fails(Errc::truncated),
                   fails(HttpErrc::bad_field_name), none(kNoMessage), fails(Errc::truncated)}},
        {.name = "response content with a length",
         .lead = kPartOfResponse,
         .announces = kStatusLine + "Content-Length: 67108864\r\n\r\n",
         .garbage = std::string(2000, 'x'),
         .cells = {fails(Errc::timed_out, kDeadline, 10), fails(Errc::timed_out, kDeadline, 50),
                   fails(Errc::timed_out, kDeadline), succeeds(1000), none(kRequestIsRead),
                   fails(Errc::connection_reset, kNow, 10), fails(Errc::truncated, kNow, 10),
                   succeeds(1000), succeeds(1000), fails(Errc::truncated, kNow, 10)}},
        {.name = "response content in chunks",
         .lead = kChunkedResponse + "5\r\nabcde\r\n10\r\n",
         .announces = kChunkedResponse + "4000000\r\n",
         .floods = "5\r\nabcde\r\n",
         .garbage = "no size\r\n",
         .garbage_lead = kChunkedResponse + "5\r\nabcde\r\n",
         .cells = {fails(Errc::timed_out, kDeadline, 5), none("see response content with a length"),
                   fails(Errc::timed_out, kDeadline), none("see the end of a flood"),
                   none(kRequestIsRead), fails(Errc::connection_reset, kNow, 5),
                   fails(Errc::truncated, kNow, 5), fails(HttpErrc::bad_chunk_size, kNow, 5),
                   none("see response content with a length"), fails(Errc::truncated, kNow, 5)}},
        {.name = "response content to the end",
         .lead = kStatusLine + "Connection: close\r\n\r\n0123456789",
         .cells = {fails(Errc::timed_out, kDeadline, 10), fails(Errc::timed_out, kDeadline, 50),
                   none(kNoLength), none("see the end of a flood"), none(kRequestIsRead),
                   fails(Errc::connection_reset, kNow, 10), succeeds(10),
                   none("any byte is content"), none("any byte is content"),
                   tls ? fails(Errc::truncated, kNow, 10) : succeeds(10)}},
        {.name = "idle kept connection",
         .kept = true,
         .answered = true,
         .floods = kWholeResponse,
         .garbage = kNoResponse,
         .cells = {succeeds(2, kKeptIdle), succeeds(2), none(kNoLength), succeeds(2),
                   none(kRequestIsRead), succeeds(2), succeeds(2), succeeds(2), succeeds(2),
                   succeeds(2)}},
        {.name = "closing",
         .lead = kStatusLine + "Content-Length: 2\r\nConnection: close\r\n\r\nok",
         .floods = kWholeResponse,
         .garbage = kNoResponse,
         .cells = {succeeds(2), succeeds(2), none(kNoLength), succeeds(2), none(kRequestIsRead),
                   succeeds(2), succeeds(2), succeeds(2), succeeds(2), succeeds(2)}},
    };
}

}  // namespace

const std::vector<Phase>& client_phases(bool tls) {
    static const std::vector<Phase> plain =
        joined(client_request_phases(false), client_response_phases(false));
    static const std::vector<Phase> secured =
        joined(client_request_phases(true), client_response_phases(true));
    return tls ? secured : plain;
}

const std::vector<Phase>& client_handshake_phases() {
    static const std::array<Cell, kBehaviours> half = {fails(Errc::timed_out, kConnect),
                                                       fails(Errc::timed_out, kConnect),
                                                       none("the flight has announced one"),
                                                       none("see TLS: no byte"),
                                                       none(kRequestIsRead),
                                                       fails(Errc::connection_reset),
                                                       fails(Errc::truncated),
                                                       none("see TLS: no byte"),
                                                       none(kNoMessage),
                                                       fails(Errc::truncated)};
    static const std::array<Cell, kBehaviours> silent = {fails(Errc::timed_out, kConnect),
                                                         fails(TlsErrc::not_tls, 4s),
                                                         fails(Errc::timed_out, kConnect),
                                                         fails(TlsErrc::not_tls),
                                                         none(kRequestIsRead),
                                                         fails(Errc::connection_reset),
                                                         fails(Errc::truncated),
                                                         fails(TlsErrc::not_tls),
                                                         none(kNoMessage),
                                                         fails(Errc::truncated)};
    static const std::array<Cell, kBehaviours> hello = {none(kSameAsStop),
                                                        fails(Errc::timed_out, kConnect),
                                                        none("see TLS: no byte"),
                                                        fails(TlsErrc::not_tls),
                                                        fails(Errc::timed_out, kConnect),
                                                        fails(Errc::connection_reset),
                                                        fails(Errc::truncated),
                                                        fails(TlsErrc::not_tls),
                                                        none(kNoMessage),
                                                        fails(Errc::connection_reset)};
    static const std::vector<Phase> phases = {
        {.name = "TLS: no byte",
         .raw = true,
         .announces = "record",
         .garbage = kNoResponse,
         .cells = silent},
        {.name = "TLS: part of the server's flight",
         .lead = "part",
         .raw = true,
         .garbage = kNoResponse,
         .cells = half},
        {.name = "TLS: the client's hello",
         .reads = 20,
         .raw = true,
         .garbage = kNoResponse,
         .cells = hello},
    };
    return phases;
}

}  // namespace uaio::matrix
