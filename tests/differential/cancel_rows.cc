// Cancel, abort, stop and free: W-13 to W-19 and W-51 to W-55.
#include "tests/differential/reasons.h"

#include <random>
#include <thread>

namespace differential {
namespace {

// A blocked write, with another write behind it and a read beside it.
Transfer& blocked_with_company(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.start(Verb::write_all, "queued", 3);
    stage.start(Verb::read_all, "read", 10);
    stage.until_blocked();
    return head;
}

void cancel_in_flight(Stage& stage) {
    blocked_with_company(stage).operation->cancel();
    stage.until_idle();
}

void abort_with_reason(Stage& stage) {
    blocked_with_company(stage).operation->abort(Reason::permission);
    stage.until_idle();
}

void stop_in_flight(Stage& stage) {
    blocked_with_company(stage).operation->stop();
    stage.until_idle();
}

void free_in_flight(Stage& stage) {
    stage.free(blocked_with_company(stage));
    stage.until_idle();
}

void second_request(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    head.operation->abort(Reason::permission);
    head.operation->cancel();
    stage.until_idle();
}

void abort_without_error(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.start(Verb::write_all, "queued", 3);
    stage.until_blocked();
    head.operation->abort(Reason::none);
    stage.until_idle();
    stage.note("after the abort", head.ended() ? "ended" : "pending");
}

void cancel_queued(Stage& stage) {
    stage.start(Verb::write_all, "head", kBlocking);
    Transfer& queued = stage.start(Verb::write_all, "queued", 100'000);
    stage.start(Verb::write_all, "behind", 3);
    stage.until_blocked();
    queued.operation->cancel();
    stage.until_ended(queued);
}

// One write and a cancel at any moment of it, on its own connection. Returns in words how the write
// ended and whether its count was correct.
std::string cancelled_somewhere(Driver& driver, std::mt19937& random) {
    Stage stage(driver);
    constexpr std::size_t kSizes[] = {1, 1'000, 100'000, 3'000'000};
    const std::size_t size = kSizes[random() % std::size(kSizes)];
    const auto turns = random() % 4 == 0 ? 0 : random() % 20'000;
    Transfer& write = stage.start(Verb::write_all, "write", size);
    for (volatile std::uint64_t turn = 0; turn < turns;)
        turn = turn + 1;
    // Makes some cancels come too late, even on a fast machine.
    if (random() % 8 == 0) stage.read_until_ended(write);
    write.operation->cancel();
    stage.until_ended(write);
    stage.close();
    const std::string words = *stage.conclude().find("write");
    if (words == "ok/" + std::to_string(size)) return "all of it";
    if (!words.starts_with("canceled/")) return words;
    if (words.find(", ") == words.npos) return "an exact part";
    return words.starts_with("canceled/0, but the peer has more") ? "0 for a part" : words;
}

void random_cancels(Stage& stage) {
    std::mt19937 random(20210810);
    std::string others;
    unsigned whole = 0, exact = 0, wrong = 0;
    stage.close();
    for (unsigned round = 0; round < 400; ++round) {
        const std::string words = cancelled_somewhere(stage.driver(), random);
        if (words == "all of it") {
            ++whole;
        } else if (words == "an exact part") {
            ++exact;
        } else if (words == "0 for a part") {
            ++wrong;
        } else {
            others = words;
        }
    }
    stage.note("rounds", whole + exact + wrong == 400 ? "400 with one callback" : others);
    stage.note("successes with the full count", whole > 0 ? "some" : "none");
    stage.note("cancels with a wrong count", wrong > 0 ? "some" : "none");
}

// Prepares everything first, so that nothing comes between the two calls.
void cancel_and_submit(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    Transfer& next = stage.make("next", 3);
    stage.prepare(Verb::write_all, next);
    stage.until_blocked();
    head.operation->cancel();
    stage.driver().submit(Verb::write_all, *next.operation);
}

void cancel_idle(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    write.operation->cancel();
    stage.submit(Verb::write_all, write);
}

void cancel_in_callback(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    write.record->at_callback([&write] { write.operation->cancel(); });
    stage.submit(Verb::write_all, write);
    stage.until_ended(write);
    stage.until_idle();
    stage.note("getters afterwards", write.operation->getters());
}

void resubmit_in_callback(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    write.record->at_callback([&] { stage.submit(Verb::write_all, write); });
    stage.submit(Verb::write_all, write);
    stage.until("called back twice", [&] { return write.record->endings().size() == 2; });
}

std::vector<Expectation> ended_with(const std::string& result) {
    return over(
        {differs("head", result + "/0, but the peer has more", result + "/part", kExactCount),
         same("queued", "closed/0"), same("read", "closed/0")});
}

}  // namespace

Rows cancel_rows() {
    // nng loses the race of W-53 in nine of ten runs, but hardly ever where it has one processor.
    const auto race = std::thread::hardware_concurrency() > 1 ? differs : may_differ;
    return {
        {"W-13", "cancel of a write in flight", cancel_in_flight, ended_with("canceled")},
        {"W-14",
         "abort without an error",
         abort_without_error,
         {uaio_misuse(), differs("after the abort", "ended", "pending", kNullAbort),
          differs("head", "ok/0, but the peer has more", "ok/16777216", kNullAbort),
          same("queued", "ok/3"), same("follow-up", "ok/4"), same("peer", "open")}},
        {"W-15", "abort with the caller's error", abort_with_reason, ended_with("EPERM")},
        {"W-15", "only the first of two requests counts", second_request,
         over({differs("head", "EPERM/0, but the peer has more", "EPERM/part", kExactCount)})},
        {"W-16", "stop of a write in flight", stop_in_flight, ended_with("canceled")},
        {"W-17", "free of a write in flight", free_in_flight, ended_with("closed")},
        {"W-19", "cancel of a queued write", cancel_queued,
         usable(
             {same("head", "ok/16777216"), same("queued", "canceled/0"), same("behind", "ok/3")})},
        {"W-51",
         "400 cancels at random moments",
         random_cancels,
         {same("rounds", "400 with one callback"), same("successes with the full count", "some"),
          differs("cancels with a wrong count", "some", "none", kExactCount),
          same("peer", "end of stream")}},
        {"W-53", "cancel in flight and a write_all at once", cancel_and_submit,
         over_after_a_race(
             {race(kProcess, kDies + " | " + kLives, kLives, kInnerReuse),
              differs("head", "canceled/0, but the peer has more", "canceled/part", kExactCount),
              may_differ("next", "closed/0 | ok/3", "closed/0", kLostRace)}),
         30},
        {"W-54", "cancel of an idle operation, then write_all", cancel_idle,
         usable({same("write", "ok/3")})},
        {"W-55", "cancel inside the callback", cancel_in_callback,
         usable({same("write", "ok/3"), same("getters afterwards", "ok/3")})},
        {"W-55", "submit again inside the callback", resubmit_in_callback,
         usable({same("write", "ok/3, then ok/3")})},
    };
}

}  // namespace differential
