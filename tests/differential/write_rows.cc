// The bytes sent: W-1 to W-12.
#include "tests/differential/reasons.h"

namespace differential {
namespace {

void five_bytes(Stage& stage) { stage.start(Verb::write_all, "write", 5); }

void without_callback(Stage& stage) {
    Transfer& write = stage.make_without_callback("write", 5);
    stage.submit(Verb::write_all, write);
    write.operation->wait();
}

void eight_entries(Stage& stage) {
    // The drivers overwrite the array that they passed to set_iov.
    stage.submit(Verb::write_all, stage.make("write", 8, 8));
}

void set_too_many(Stage& stage, std::size_t entries) {
    Transfer& write = stage.make("write", 3);
    write.bytes().resize(entries, 'x');
    write.set_entries(write.cut({3}));
    const std::vector<std::size_t> lengths(entries, 1);
    stage.note("set_iov", write.set_entries(write.cut(lengths)));
    stage.submit(Verb::write_all, write);
}

void nine_entries(Stage& stage) { set_too_many(stage, 9); }
void more_than_iov_max(Stage& stage) { set_too_many(stage, 1025); }

void no_list_ever(Stage& stage) { stage.submit(Verb::write_all, stage.make("write")); }

void list_of_no_entries(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    stage.note("set_iov", write.set_entries({}));
    stage.submit(Verb::write_all, write);
}

void zero_lengths_only(Stage& stage) {
    Transfer& somewhere = stage.make("an address", 3);
    somewhere.set_entries(somewhere.cut({0}));
    stage.submit(Verb::write_all, somewhere);
    Transfer& nowhere = stage.make("no address");
    nowhere.set_entries({{nullptr, 0}});
    stage.submit(Verb::write_all, nowhere);
}

void zero_lengths_between(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    write.set_entries(write.cut({0, 2, 0, 0, 1, 0}));
    stage.submit(Verb::write_all, write);
}

void large_with_empty_entries(Stage& stage) {
    Transfer& write = stage.make("write", kBlocking);
    write.set_entries(write.cut({0, 5'000'000, 0, 0, 1, 0, kBlocking - 5'000'001, 0}));
    stage.submit(Verb::write_all, write);
}

void slow_reader(Stage& stage) {
    Transfer& write = stage.start(Verb::write_all, "write", kBlocking);
    // A little at a time, so that every send is short.
    while (stage.peer().received().size() < kBlocking / 2 && !write.ended()) {
        if (stage.peer().wait_readable(1)) stage.peer().read_some(20'000);
    }
}

void same_again(Stage& stage) {
    Transfer& write = stage.start(Verb::write_all, "write", kBlocking);
    if (stage.read_until_ended(write) && stage.until_ended(write)) {
        stage.submit(Verb::write_all, write);
    }
}

void empty_behind_blocked(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    Transfer& empty = stage.make("empty", 3);
    empty.set_entries(empty.cut({0}));
    stage.submit(Verb::write_all, empty);
    stage.until_idle();
    stage.note("while the head is blocked", empty.ended() ? "ended" : "pending");
    stage.read_until_ended(head);
}

void raw_write(Stage& stage) {
    Transfer& write = stage.start(Verb::write, "write", kBlocking);
    stage.until_ended(write);
}

void raw_writes_queue(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    stage.start(Verb::write, "raw", 3);
    stage.start(Verb::write_all, "tail", 100'000);
    stage.read_until_ended(head);
}

}  // namespace

Rows write_rows() {
    return {
        {"W-1", "write_all of five bytes", five_bytes, usable({same("write", "ok/5")})},
        {"W-2", "write_all without a callback, and a wait", without_callback,
         usable({same("write", "ok/5, by a wait")})},
        {"W-3", "eight entries whose array is overwritten after set_iov", eight_entries,
         usable({same("write", "ok/8")})},
        {"W-4", "nine entries", nine_entries,
         usable(
             {differs("set_iov", "invalid_argument", "ok", "an iovec list may have 1024 entries"),
              differs("write", "ok/3", "ok/9",
                      "nng kept its previous iovec list of three bytes")})},
        {"W-4", "more entries than IOV_MAX keep the previous iovec list", more_than_iov_max,
         usable({same("set_iov", "invalid_argument"), same("write", "ok/3")})},
        {"W-5", "write_all without an iovec list", no_list_ever,
         usable({differs("write", "ok/0", "invalid_argument/0", kNeedsList)})},
        {"W-5", "write_all of an iovec list without entries", list_of_no_entries,
         usable(
             {same("set_iov", "ok"), differs("write", "ok/0", "invalid_argument/0", kNeedsList)})},
        {"W-6", "one entry of length zero, with and without an address", zero_lengths_only,
         usable({same("an address", "ok/0"), same("no address", "ok/0")})},
        {"W-7", "entries of length zero between others", zero_lengths_between,
         usable({same("write", "ok/3")})},
        {"W-8", "16 MiB in eight entries, five of them empty", large_with_empty_entries,
         usable({same("write", "ok/16777216")})},
        {"W-9", "16 MiB to a slow reader", slow_reader, usable({same("write", "ok/16777216")})},
        {"W-10", "the same operation again sends the same bytes", same_again,
         usable({same("write", "ok/16777216, then ok/16777216")})},
        {"W-11", "an empty write_all keeps its place behind a blocked one", empty_behind_blocked,
         usable({same("while the head is blocked", "pending"), same("head", "ok/16777216"),
                 same("empty", "ok/0")})},
        {"W-12", "a raw write completes with the bytes accepted", raw_write,
         usable({same("write", "ok/part")})},
        {"W-12", "raw and whole writes in one queue keep their semantics", raw_writes_queue,
         usable({same("head", "ok/16777216"), same("raw", "ok/3"), same("tail", "ok/100000")})},
    };
}

}  // namespace differential
