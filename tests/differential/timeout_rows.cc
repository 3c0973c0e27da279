// Timeouts: W-18 and W-20 to W-28.
#include "tests/differential/reasons.h"

namespace differential {
namespace {

using std::chrono::milliseconds;

void in_flight(Stage& stage) {
    Transfer& head = stage.make("head", kBlocking);
    stage.set_timeout(head, milliseconds(300));
    stage.submit(Verb::write_all, head);
    stage.start(Verb::write_all, "queued", 3);
    stage.start(Verb::read_all, "read", 10);
    stage.until_ended(head);
}

void queued(Stage& stage) {
    stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    Transfer& waiting = stage.make("queued", 100'000);
    stage.set_timeout(waiting, milliseconds(60));
    stage.submit(Verb::write_all, waiting);
    stage.until_ended(waiting);
}

void zero(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    stage.set_timeout(write, milliseconds(0));
    stage.submit(Verb::write_all, write);
    stage.until_ended(write);
}

void negative(Stage& stage) {
    Transfer& write = stage.make("write", kBlocking);
    stage.set_timeout(write, milliseconds(-3));
    stage.submit(Verb::write_all, write);
    stage.until_ended(write);
}

void steady_progress(Stage& stage) {
    const auto began = std::chrono::steady_clock::now();
    Transfer& write = stage.make("write", 4 * kBlocking);
    stage.set_timeout(write, milliseconds(300));
    stage.submit(Verb::write_all, write);
    while (!write.record->wait(1, milliseconds(2)))
        stage.peer().read_some(10'000);
    const auto took = std::chrono::steady_clock::now() - began;
    stage.note("after 300 ms", took >= milliseconds(300) && took < kPatience ? "yes" : "no");
}

void persists(Stage& stage) {
    Transfer& write = stage.make("write", 1);
    stage.set_timeout(write, milliseconds(300));
    stage.submit(Verb::write_all, write);
    if (!stage.until_ended(write)) return;
    write.set_bytes(kBlocking);
    stage.submit(Verb::write_all, write);
    stage.until_ended(write);
}

void set_while_running(Stage& stage) {
    Transfer& write = stage.start(Verb::write_all, "write", kBlocking);
    stage.until_blocked();
    write.operation->set_timeout(milliseconds(20));
    Transfer& later = stage.make("later");
    stage.driver().start_timer(*later.operation, milliseconds(100));
    later.record->wait(1, kPatience);
    stage.note("after its end", write.ended() ? "ended" : "pending");
}

void after_a_sleep(Stage& stage) {
    Transfer& read = stage.make("read", 3);
    stage.driver().start_timer(*read.operation, milliseconds(5));
    read.record->wait(1, kPatience);
    read.operation->wait();
    stage.set_timeout(read, milliseconds(50));
    stage.driver().submit(Verb::read_all, *read.operation);
    read.record->wait(2, kPatience);
    read.operation->wait();
    stage.note("read after a sleep", read.record->endings().back());
}

}  // namespace

Rows timeout_rows() {
    return {
        {"W-18", "timeout of a write in flight", in_flight,
         over({differs("head", "timed_out/0, but the peer has more", "timed_out/part", kExactCount),
               same("queued", "closed/0"), same("read", "closed/0")})},
        {"W-20", "timeout of a queued write", queued,
         usable({same("head", "ok/16777216"), same("queued", "timed_out/0")})},
        {"W-22", "timeout zero on a writable socket", zero, usable({same("write", "timed_out/0")})},
        {"W-23",
         "a negative timeout",
         negative,
         {may_differ(kProcess, kDies + " | " + kLives, kLives, kInnerReuse),
          differs("write", "timed_out/0, but the peer has more", "timed_out/0",
                  "a negative timeout acts like zero: nothing is sent"),
          may_differ("follow-up", "closed/0 | ok/4", "ok/4", "nng's expiry races with its send"),
          may_differ("peer", "end of stream | open", "open", "nng's expiry races with its send")}},
        {"W-24", "progress does not extend a timeout", steady_progress,
         over_after_a_race(
             {same("after 300 ms", "yes"), differs("write", "timed_out/0, but the peer has more",
                                                   "timed_out/part", kExactCount)})},
        {"W-25", "a timeout applies to the next operation too", persists,
         over_after_a_race({differs("write", "ok/1, then timed_out/0, but the peer has more",
                                    "ok/1, then timed_out/part", kExactCount)})},
        {"W-26", "a timeout set while the operation runs has no effect on it", set_while_running,
         usable({same("after its end", "pending"), same("write", "ok/16777216")})},
        {"W-28", "timeout of an operation that was used for a sleep before", after_a_sleep,
         usable({differs("read after a sleep", "ok/0", "timed_out/0",
                         "nng's defect: after one sleep every expiry is a success")})},
    };
}

}  // namespace differential
