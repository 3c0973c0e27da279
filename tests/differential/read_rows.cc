// Reads.
#include "tests/differential/reasons.h"

namespace differential {
namespace {

constexpr std::size_t kLargeRead = 16 << 20;

const std::string kMalformed =
    "a malformed head has an error of its own, and a server may still respond to it";
const std::string kHeadLimit =
    "nng's defect: a head must fit its buffer of 8 KiB; uaio's limit is an option, by default 32 "
    "KiB";
const std::string kFieldLimit =
    "each limit has an error of its own; nng's error is connection_shut";

void in_two_parts(Stage& stage) {
    Transfer& read = stage.start(Verb::read_all, "read", 10);
    stage.peer().send("abc");
    stage.until_idle();
    stage.note("after the first part", read.ended() ? "ended" : "pending");
    stage.peer().send("defghij");
    stage.until_ended(read);
}

void read_twice(Stage& stage) {
    Transfer& read = stage.start(Verb::read, "read", 100);
    stage.peer().send("abc");
    if (!stage.until_ended(read)) return;
    stage.submit(Verb::read, read);
    stage.peer().send("def");
    if (!stage.until_ended(read)) return;
    const std::string& buffer = read.bytes();
    stage.note("second read into", buffer.starts_with("abcdef") ? "the rest of the iovec list"
                                   : buffer.starts_with("def")  ? "the whole iovec list"
                                                                : "elsewhere");
}

void read_all_twice(Stage& stage) {
    Transfer& read = stage.start(Verb::read_all, "read", 3);
    stage.peer().send("abc");
    if (!stage.until_ended(read)) return;
    stage.submit(Verb::read_all, read);
    stage.peer().send("def");
    stage.until_ended(read);
}

void ends_short(Stage& stage) {
    Transfer& read = stage.start(Verb::read_all, "read", 10);
    stage.start(Verb::read_all, "queued", 10);
    stage.peer().send("abc");
    stage.until_idle();
    stage.peer().shutdown_write();
    stage.until_ended(read);
}

void reset_short(Stage& stage) {
    Transfer& read = stage.start(Verb::read_all, "read", 10);
    stage.peer().send("abc");
    stage.until_idle();
    stage.peer().reset();
    stage.until_ended(read);
}

void without_list(Stage& stage) {
    stage.submit(Verb::read, stage.make("read"));
    stage.submit(Verb::read_all, stage.make("read_all"));
}

void one_empty_entry(Stage& stage) {
    Transfer& read = stage.make("read", 3);
    read.set_entries(read.cut({0}));
    stage.submit(Verb::read, read);
    stage.until_ended(read);
}

void empty_entry_last(Stage& stage) {
    Transfer& read = stage.make("read", 3);
    read.set_entries(read.cut({3, 0}));
    stage.submit(Verb::read_all, read);
    stage.peer().send("abc");
    stage.until_ended(read);
}

void times_out(Stage& stage) {
    Transfer& read = stage.make("read", 10);
    stage.set_timeout(read, std::chrono::milliseconds(60));
    stage.submit(Verb::read_all, read);
    stage.peer().send("abc");
    stage.until_ended(read);
}

void timeout_zero(Stage& stage) {
    stage.peer().send("abc");
    Transfer& expired = stage.make("read", 3);
    stage.set_timeout(expired, std::chrono::milliseconds(0));
    stage.submit(Verb::read_all, expired);
    stage.until_ended(expired);
    stage.until_ended(stage.start(Verb::read_all, "next", 3));
}

void cancel_queued_read(Stage& stage) {
    Transfer& head = stage.start(Verb::read_all, "head", 3);
    Transfer& queued = stage.start(Verb::read_all, "queued", 3);
    stage.start(Verb::read_all, "behind", 3);
    stage.until_idle();
    queued.operation->cancel();
    stage.until_ended(queued);
    stage.note("the head", head.ended() ? "ended" : "pending");
    stage.peer().send("abcdef");
}

void cancel_read_in_flight(Stage& stage) {
    Transfer& head = stage.start(Verb::read_all, "head", 10);
    stage.start(Verb::read_all, "queued", 3);
    stage.peer().send("abc");
    stage.until_idle();
    head.operation->cancel();
    stage.until_ended(head);
    if (stage.until_idle()) stage.peer().send("def");
}

void large(Stage& stage) {
    Transfer& read = stage.make("read", kLargeRead, 8);
    stage.submit(Verb::read_all, read);
    std::string bytes(kLargeRead, '\0');
    for (std::size_t i = 0; i < kLargeRead; ++i)
        bytes[i] = static_cast<char>(i ^ (i >> 8) ^ 0x5a);
    stage.peer().send(bytes);
    stage.until_ended(read);
}

void read_head(Stage& stage, const std::string& bytes) {
    Transfer& read = stage.make("read");
    stage.submit(read, [&](Operation& operation) { stage.driver().read_response(operation); });
    stage.start(Verb::read_all, "queued", 5);
    stage.peer().send(bytes);
    stage.until_ended(read);
}

void malformed_head(Stage& stage) { read_head(stage, "garbage\r\n"); }

constexpr std::size_t kHeadSize = 8200;
constexpr std::string_view kHeadBegin = "HTTP/1.1 200 OK\r\nA: ";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

void large_head(Stage& stage) {
    const std::string between = "\r\nB: ";
    const std::size_t values = kHeadSize - kHeadBegin.size() - between.size() - kHeadEnd.size();
    read_head(stage, std::string(kHeadBegin) + std::string(values / 2, 'a') + between +
                         std::string(values - values / 2, 'b') + std::string(kHeadEnd));
}

void large_field(Stage& stage) {
    const std::size_t value = kHeadSize - kHeadBegin.size() - kHeadEnd.size() + 100;
    read_head(stage, std::string(kHeadBegin) + std::string(value, 'a') + std::string(kHeadEnd));
}

}  // namespace

Rows read_rows() {
    return {
        {"R-1", "read_all of bytes that arrive in two parts", in_two_parts,
         usable({same("after the first part", "pending"), same("read", "ok/10")})},
        {"R-2", "read twice without a new iovec list", read_twice,
         usable({same("read", "ok/3, then ok/3"),
                 differs("second read into", "the rest of the iovec list", "the whole iovec list",
                         kListStays)})},
        {"R-2", "read_all twice without a new iovec list", read_all_twice,
         usable({differs("read", "ok/3, then ok/0", "ok/3, then ok/3", kListStays)})},
        {"R-3", "the stream ends in the middle of a read_all", ends_short,
         over_in_nng({differs("read", "connection_shut/0, but the buffer has more",
                              "end_of_stream/3", kEndOfStream + "; " + kExactCount),
                      differs("queued", "closed/0", "end_of_stream/0", kEndOfStream)},
                     kEndOfStream)},
        {"R-4",
         "reset in the middle of a read_all",
         reset_short,
         {differs("read", "connection_shut/0, but the buffer has more", "connection_reset/3",
                  kResetCode + "; " + kExactCount),
          differs("follow-up", "closed/0", "connection_reset/0", kReadsDoNotPoison),
          same("peer", "gone")}},
        {"R-5", "read and read_all without an iovec list", without_list,
         usable({differs("read", "ok/0", "invalid_argument/0", kNeedsList),
                 differs("read_all", "ok/0", "invalid_argument/0", kNeedsList)})},
        {"R-6", "read into one entry of length zero", one_empty_entry,
         over_in_nng({differs("read", "connection_shut/0", "ok/0", kZeroLength)}, kZeroLength)},
        {"R-7", "read_all with a last entry of length zero", empty_entry_last,
         over_in_nng(
             {differs("read", "connection_shut/0, but the buffer has more", "ok/3", kZeroLength)},
             kZeroLength)},
        {"R-8", "timeout in the middle of a read_all", times_out,
         over_in_nng(
             {differs("read", "timed_out/0, but the buffer has more", "timed_out/3", kExactCount)},
             kReadsDoNotPoison)},
        {"R-9", "timeout zero with the data available", timeout_zero,
         usable({same("read", "timed_out/0"), same("next", "ok/3")})},
        {"R-10", "cancel of a queued read", cancel_queued_read,
         usable({same("queued", "canceled/0"), same("the head", "pending"), same("head", "ok/3"),
                 same("behind", "ok/3")})},
        {"R-11", "cancel of a read in flight", cancel_read_in_flight,
         over_in_nng(
             {differs("head", "canceled/0, but the buffer has more", "canceled/3", kExactCount),
              differs("queued", "closed/0", "ok/3", kReadsDoNotPoison)},
             kReadsDoNotPoison)},
        {"R-12", "read_all of 16 MiB into eight entries", large,
         usable({same("read", "ok/16777216")})},
        {"R-15", "read_res of a malformed head", malformed_head,
         over_in_nng({differs("read", "protocol_error/0", "bad_start_line/0", kMalformed),
                      same("queued", "closed/0")},
                     kMalformed)},
        {"R-16", "a head of 8200 bytes", large_head,
         over_in_nng(
             {differs("read", "connection_shut/0", "ok/0", kHeadLimit), same("queued", "closed/0")},
             kHeadLimit)},
        {"R-16", "a field of 8283 bytes", large_field,
         over_in_nng({differs("read", "connection_shut/0", "header_field_too_long/0", kFieldLimit),
                      same("queued", "closed/0")},
                     kFieldLimit)},
    };
}

}  // namespace differential
