// Intended differences of uaio from nng: each reason once, for the rows that need it, and the
// expectations common to many rows. Values.
#pragma once

#include "tests/differential/row.h"

#include <string>

namespace differential {

inline const std::string kExactCount =
    "the count is exact after errors too; nng's manual promises that, and nng reports 0";
inline const std::string kNeedsList =
    "a missing iovec list is invalid_argument, as in nng's manual; nng takes it for an empty write";
inline const std::string kResetCode =
    "the peer's reset is connection_reset for every operation, as in nng's manual";
inline const std::string kLocalClose =
    "close ends all operations with closed, as in nng's manual; nng ends those in flight with "
    "canceled";
inline const std::string kReadsDoNotPoison =
    "a read that was cancelled, expired or ended does not affect the connection";
inline const std::string kListStays =
    "neither reads nor writes consume the iovec list: the same Aio uses all of it again";
inline const std::string kNothingSent =
    "a write that ended before its first byte does not affect the connection";
inline const std::string kEndOfStream =
    "the peer's end is end_of_stream, distinct from a reset, and ends only reading";
inline const std::string kCallsBack =
    "an operation on a stopped Aio ends by its callback; nng drops it silently";
inline const std::string kZeroLength =
    "nng's defect: an entry of length zero is taken for the end of the stream";
inline const std::string kNullAbort =
    "nng's defect: abort without an error makes a partial write a success; uaio refuses it";
inline const std::string kInnerReuse =
    "nng's defect: it submits its inner operation while that is still in flight";

inline const std::string kLostRace =
    "nng's defect: if its send ended just before, it reports the cancel and stays open";

// The connection still accepts writes.
inline std::vector<Expectation> usable(std::vector<Expectation> row) {
    row.push_back(same("follow-up", "ok/4"));
    row.push_back(same("peer", "open"));
    return row;
}

// The connection has ended, with an orderly end after the bytes sent.
inline std::vector<Expectation> over(std::vector<Expectation> row) {
    row.push_back(same("follow-up", "closed/0"));
    row.push_back(same("peer", "end of stream"));
    return row;
}

// As over(), for writes that end while nng may still be sending a part of them.
inline std::vector<Expectation> over_after_a_race(std::vector<Expectation> row) {
    row.push_back(may_differ("follow-up", "closed/0 | ok/4", "closed/0", kLostRace));
    row.push_back(may_differ("peer", "end of stream | open", "end of stream", kLostRace));
    return row;
}

// nng closes it; uaio keeps it open.
inline std::vector<Expectation> over_in_nng(std::vector<Expectation> row,
                                            const std::string& reason) {
    // nng closes a moment after the callback; a write before that may still be sent.
    row.push_back(
        differs("follow-up", "closed/0 | closed/0, but the peer has more", "ok/4", reason));
    row.push_back(differs("peer", "end of stream", "open", reason));
    return row;
}

// Misuse aborts debug builds of uaio, and is ignored in release builds.
#ifdef NDEBUG
inline constexpr bool kMisuseStops = false;
#else
inline constexpr bool kMisuseStops = true;
#endif

inline Expectation uaio_misuse() {
    return kMisuseStops ? differs(kProcess, kLives, kDies, "a debug build stops")
                        : same(kProcess, kLives);
}

}  // namespace differential
