// The reaction of a raw stream to each misbehaviour of its peer: how the operation in flight ends,
// with what count, and when. The operation's own deadline is 10.5 s. A stream has no deadlines of
// its own but tls::ContextOptions::close_timeout.
#include <uaio/tls_error.h>

#include "tests/matrix/stream_scene.h"

namespace uaio::matrix {
namespace {

const char* const kStreamHasNoLength = "a stream has no length to announce";
const char* const kNoMessages = "a stream has no messages";
const char* const kStreamSendsNothing = "the stream sends nothing in this phase";
const char* const kSeeWriteAll = "see write all";

const std::string kLead = "0123456789";

// The order of the cells: stall, drip, announce, flood, stop reading, reset, half-close, garbage,
// extra, cut.
std::vector<Phase> make_stream_phases(bool tls) {
    const Cell over = succeeds(0);
    const Cell late = fails(Errc::timed_out, kOperation, kCounted);
    const Cell broken = fails(Errc::connection_reset, kNow, kCounted);
    const Cell closed = fails(Errc::closed, kNow, kCounted);
    const std::error_code cut = tls ? Errc::truncated : Errc::end_of_stream;
    std::vector<Phase> phases = {
        {.name = "read",
         .lead = kLead,
         .cells = {fails(Errc::timed_out, kOperation, 10), fails(Errc::timed_out, kOperation, 21),
                   none(kStreamHasNoLength), succeeds(100), none(kStreamSendsNothing),
                   fails(Errc::connection_reset, kNow, 10), fails(Errc::end_of_stream, kNow, 10),
                   none("any byte is data"), none(kNoMessages), fails(cut, kNow, 10)}},
        {.name = "write all",
         .reads = 1000,
         .garbage = "x",
         .cells = {none(kSameAsStop), late, none(kStreamHasNoLength), late, late, broken,
                   succeeds(1 << 20), late, none(kNoMessages), broken}},
        {.name = "write some",
         .reads = 0,
         .cells = {none(kSeeWriteAll), none(kSeeWriteAll), none(kSeeWriteAll), none(kSeeWriteAll),
                   succeeds(kCounted), none(kSeeWriteAll), none(kSeeWriteAll), none(kSeeWriteAll),
                   none(kSeeWriteAll), none(kSeeWriteAll)}},
        {.name = "idle",
         .lead = kLead,
         .cells = {none("see read"), none("see read"), none(kStreamHasNoLength), succeeds(100),
                   none(kStreamSendsNothing),
                   fails(Errc::connection_reset, kNow, tls ? 10 : kCounted),
                   fails(Errc::end_of_stream, kNow, 10), none("any byte is data"),
                   none(kNoMessages), fails(cut, kNow, 10)}},
        {.name = "closing",
         .lead = kLead,
         .garbage = "x",
         .cells = {over, over, none(kStreamHasNoLength), over, over, over, over, over,
                   none(kNoMessages), over}},
        {.name = "closing, a write in progress",
         .reads = 1000,
         .garbage = "x",
         .cells = {none(kSameAsStop), closed, none(kStreamHasNoLength), closed, closed, closed,
                   closed, closed, none(kNoMessages), closed}},
    };
    if (!tls) return phases;
    phases.push_back(
        {.name = "read, inside a record",
         .lead = kLead,
         .raw = true,
         .drips = "\x17\x03\x03\x20" + std::string(1, '\0') + std::string(100, 'x'),
         .garbage = "\x17\x03\x03" + std::string(64, '\0'),
         .cells = {none("see read"), fails(Errc::timed_out, kOperation, 10), none("see drip"),
                   fails(TlsErrc::not_tls, kNow, 10), none(kStreamSendsNothing), none("see read"),
                   none("see cut"), fails(TlsErrc::bad_record, kNow, 10), none(kNoMessages),
                   none("see read")}});
    return phases;
}

}  // namespace

const std::vector<Phase>& stream_phases(bool tls) {
    static const std::vector<Phase> plain = make_stream_phases(false);
    static const std::vector<Phase> secured = make_stream_phases(true);
    return tls ? secured : plain;
}

}  // namespace uaio::matrix
