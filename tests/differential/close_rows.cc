// Either side closes or resets: W-29 to W-42.
#include "tests/differential/reasons.h"

namespace differential {
namespace {

void close_with_all_pending(Stage& stage) {
    stage.start(Verb::write_all, "head", kBlocking);
    stage.start(Verb::write_all, "queued write", 3);
    stage.start(Verb::read_all, "read", 10);
    stage.start(Verb::read_all, "queued read", 10);
    stage.until_blocked();
    stage.close();
}

void close_with_reads(Stage& stage) {
    stage.start(Verb::read_all, "read", 10);
    stage.start(Verb::read_all, "queued read", 10);
    stage.until_idle();
    stage.close();
}

void close_in_write_callback(Stage& stage) {
    Transfer& first = stage.make("first", kBlocking);
    first.record->at_callback([&stage] { stage.close(); });
    stage.submit(Verb::write_all, first);
    stage.start(Verb::write_all, "second", kBlocking);
    stage.start(Verb::write_all, "third", 3);
    stage.read_until_ended(first);
}

void close_in_read_callback(Stage& stage) {
    Transfer& read = stage.make("read", 3);
    read.record->at_callback([&stage] { stage.close(); });
    stage.submit(Verb::read, read);
    stage.start(Verb::write_all, "head", kBlocking);
    stage.start(Verb::write_all, "queued", 3);
    stage.until_blocked();
    stage.peer().send("abc");
    stage.until_ended(read);
}

void close_after_success(Stage& stage) {
    Transfer& write = stage.start(Verb::write_all, "write", 100'000);
    stage.until_ended(write);
    stage.close();
}

void reset_while_blocked(Stage& stage) {
    stage.start(Verb::write_all, "head", kBlocking);
    stage.start(Verb::write_all, "queued", 3);
    stage.until_blocked();
    stage.peer().reset();
}

void reset_with_read(Stage& stage) {
    stage.start(Verb::read_all, "read", 10);
    stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    stage.peer().reset();
}

void peer_closes_with_unread(Stage& stage) {
    stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    stage.peer().close();
}

void reset_while_idle(Stage& stage) {
    stage.peer().reset();
    stage.until_hung_up();
    stage.until_ended(stage.start(Verb::write_all, "first", 3));
    stage.until_ended(stage.start(Verb::write_all, "second", 3));
}

void reset_then_write_and_read(Stage& stage) {
    stage.peer().reset();
    stage.until_hung_up();
    stage.until_ended(stage.start(Verb::write_all, "write", 3));
    stage.until_ended(stage.start(Verb::read, "read", 3));
}

void reset_then_read(Stage& stage) {
    stage.peer().reset();
    stage.until_hung_up();
    stage.until_ended(stage.start(Verb::read, "read", 3));
}

void peer_closes_while_idle(Stage& stage) {
    stage.peer().close();
    stage.until_ended(stage.start(Verb::write_all, "first", 4));
    stage.until_hung_up();  // the peer answered that write with a reset
    stage.until_ended(stage.start(Verb::write_all, "second", 4));
    stage.until_ended(stage.start(Verb::write_all, "third", 4));
}

void peer_ends_its_stream(Stage& stage) {
    stage.peer().shutdown_write();
    stage.read_until_ended(stage.start(Verb::write_all, "write", kBlocking));
}

void peer_ends_with_read(Stage& stage) {
    stage.start(Verb::write_all, "write", kBlocking);
    Transfer& read = stage.start(Verb::read_all, "read", 10);
    stage.until_blocked();
    stage.peer().shutdown_write();
    stage.until_ended(read);
}

void peer_stops_reading(Stage& stage) {
    stage.peer().shutdown_read();
    Transfer& write = stage.make("write", kBlocking);
    stage.set_timeout(write, std::chrono::milliseconds(300));
    stage.submit(Verb::write_all, write);
    stage.until_ended(write);
}

void cancel_read_beside_write(Stage& stage) {
    stage.start(Verb::write_all, "write", kBlocking);
    Transfer& read = stage.start(Verb::read_all, "read", 10);
    stage.until_blocked();
    read.operation->cancel();
    stage.until_ended(read);
}

void on_a_dead_connection(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    head.operation->cancel();
    stage.until_ended(head);
    stage.until_idle();
    stage.start(Verb::write_all, "write", 3);
    stage.submit(Verb::write_all, stage.make("no buffers"));
    Transfer& expired = stage.make("timeout zero", 3);
    stage.set_timeout(expired, std::chrono::milliseconds(0));
    stage.submit(Verb::write_all, expired);
    stage.start(Verb::read, "read", 3);
}

std::vector<Expectation> gone(std::vector<Expectation> row, const std::string& follow_up) {
    row.push_back(follow_up == "closed/0" ? same("follow-up", follow_up)
                                          : differs("follow-up", "closed/0", follow_up,
                                                    kResetCode + "; " + kNothingSent));
    row.push_back(same("peer", "gone"));
    return row;
}

Rows local_rows() {
    return {
        {"W-29",
         "close with a write in flight, a queued one and reads",
         close_with_all_pending,
         {differs("head", "canceled/0, but the peer has more", "closed/part",
                  kLocalClose + "; " + kExactCount),
          same("queued write", "closed/0"), same("read", "closed/0"),
          same("queued read", "closed/0"), same("peer", "end of stream")}},
        {"W-30",
         "close with reads only",
         close_with_reads,
         {differs("read", "canceled/0", "closed/0", kLocalClose), same("queued read", "closed/0"),
          same("peer", "end of stream")}},
        {"W-31",
         "close inside the callback of a write with the next in flight",
         close_in_write_callback,
         {same("first", "ok/16777216"),
          may_differ("second",
                     "closed/0, but the peer has more | closed/0 | "
                     "canceled/0, but the peer has more | canceled/0",
                     "closed/part | closed/0", kLocalClose + "; " + kExactCount),
          same("third", "closed/0"), same("peer", "end of stream")}},
        {"W-31",
         "close inside the callback of a read with a write in flight",
         close_in_read_callback,
         {same("read", "ok/3"),
          differs("head", "canceled/0, but the peer has more", "closed/part",
                  kLocalClose + "; " + kExactCount),
          same("queued", "closed/0"), same("peer", "end of stream")}},
        {"W-32",
         "close after a success, the peer reads later",
         close_after_success,
         {same("write", "ok/100000"), same("peer", "end of stream")}},
    };
}

}  // namespace

Rows close_rows() {
    Rows rows = local_rows();
    const Rows remote = {
        {"W-33", "reset while a write is blocked", reset_while_blocked,
         gone({differs("head", "connection_shut/0", "connection_reset/part",
                       kResetCode + "; " + kExactCount),
               same("queued", "closed/0")},
              "closed/0")},
        {"W-34", "reset while a write is blocked and a read pending", reset_with_read,
         gone(
             {differs("head", "closed/0", "connection_reset/part", kResetCode + "; " + kExactCount),
              differs("read", "connection_shut/0", "closed/0 | connection_reset/0",
                      kResetCode + ", or the write found it first and closed the rest")},
             "closed/0")},
        {"W-35", "the peer closes with unread data while a write is blocked",
         peer_closes_with_unread,
         gone({differs("head", "connection_shut/0", "connection_reset/part",
                       kResetCode + "; " + kExactCount)},
              "closed/0")},
        {"W-36", "reset while idle, then two writes", reset_while_idle,
         gone({same("first", "connection_reset/0"),
               differs("second", "closed/0", "connection_reset/0",
                       kResetCode + "; " + kNothingSent)},
              "connection_reset/0")},
        {"W-36", "reset while idle, then a read", reset_then_read,
         gone({same("read", "connection_reset/0")}, "connection_reset/0")},
        {"W-36", "reset while idle, then a write and a read", reset_then_write_and_read,
         gone({same("write", "connection_reset/0"),
               differs("read", "closed/0", "connection_reset/0", kResetCode + "; " + kNothingSent)},
              "connection_reset/0")},
        {"W-37", "the peer closes while idle, then three writes", peer_closes_while_idle,
         gone(
             {same("first", "ok/4"),
              differs("second", "closed/0", "connection_reset/0", kResetCode),
              differs("third", "closed/0", "connection_reset/0", kResetCode + "; " + kNothingSent)},
             "connection_reset/0")},
        {"W-38", "the peer ends its stream, only writes here", peer_ends_its_stream,
         usable({same("write", "ok/16777216")})},
        {"W-39", "the peer ends its stream with a read pending", peer_ends_with_read,
         over_in_nng(
             {differs("read", "connection_shut/0", "end_of_stream/0", kEndOfStream),
              differs("write", "closed/0, but the peer has more", "ok/16777216", kEndOfStream)},
             kEndOfStream)},
        {"W-40",
         "the peer stops reading, and the write times out",
         peer_stops_reading,
         {differs("write", "timed_out/0", "timed_out/part", kExactCount),
          may_differ("follow-up", "closed/0 | ok/4", "closed/0", kLostRace), same("peer", "gone")}},
        {"W-41", "cancel of a read while a write is in flight", cancel_read_beside_write,
         over_in_nng(
             {same("read", "canceled/0"), differs("write", "closed/0, but the peer has more",
                                                  "ok/16777216", kReadsDoNotPoison)},
             kReadsDoNotPoison)},
        {"W-42", "operations on a connection that an error closed", on_a_dead_connection,
         over({differs("head", "canceled/0, but the peer has more", "canceled/part", kExactCount),
               same("write", "closed/0"), same("no buffers", "closed/0"),
               same("timeout zero", "closed/0"), same("read", "closed/0")})},
    };
    rows.insert(rows.end(), remote.begin(), remote.end());
    return rows;
}

}  // namespace differential
