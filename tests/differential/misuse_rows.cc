// Misuse, and calls that are allowed on many threads: W-43 to W-49.
#include "tests/differential/reasons.h"

#include <sys/mman.h>
#include <unistd.h>

#include <thread>

namespace differential {
namespace {

void on_a_stopped_operation(Stage& stage) {
    Transfer& write = stage.make("write", 3);
    write.operation->stop();
    stage.submit(Verb::write_all, write);
    stage.until_idle();
    write.operation->wait();  // returns at once if there is no callback
    stage.note("getters", write.operation->getters());
}

void many_queued(Stage& stage) {
    for (unsigned i = 0; i < 64; ++i)
        stage.start(Verb::write_all, "writes", 100'000);
}

void from_many_threads(Stage& stage) {
    constexpr unsigned kThreads = 8, kWrites = 6;
    stage.any_order(kWrites);
    std::vector<Transfer*> writes;
    for (unsigned i = 0; i < kThreads * kWrites; ++i) {
        writes.push_back(&stage.make("writes", 300'000));
        stage.prepare(Verb::write_all, *writes.back());
    }
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (unsigned i = 0; i < kWrites; ++i) {
                stage.driver().submit(Verb::write_all, *writes[thread * kWrites + i]->operation);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
}

void set_iov_while_queued(Stage& stage) {
    stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    Transfer& queued = stage.start(Verb::write_all, "queued", 3);
    stage.until_idle();
    char other[] = "other";
    const iovec entry{other, 5};
    const std::string result = queued.operation->set_iov({&entry, 1});
    stage.note("set_iov", result);
    if (result == "ok") queued.submissions.back()->sent = "other";
    stage.read_until_ended(queued);
}

void submit_twice(Stage& stage) {
    Transfer& head = stage.start(Verb::write_all, "head", kBlocking);
    stage.until_blocked();
    stage.driver().submit(Verb::write_all, *head.operation);
}

void no_address(Stage& stage) {
    Transfer& write = stage.make("write");
    write.set_entries({{nullptr, 5}});
    stage.submit(Verb::write_all, write);
}

void bad_address_last(Stage& stage) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const forbidden = ::mmap(nullptr, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Transfer& write = stage.make("write", 5);
    std::vector<iovec> entries = write.cut({5});
    entries.push_back({forbidden, 5});
    write.set_entries(entries, 1);
    stage.submit(Verb::write_all, write);
}

}  // namespace

Rows misuse_rows() {
    const std::string busy = "a busy Aio does not change";
    const std::string panic = "nng's defect: it stops the process";
    return {
        {"W-43", "write_all on a stopped operation", on_a_stopped_operation,
         usable({differs("write", "no callback", "canceled/0", kCallsBack),
                 same("getters", "canceled/0")})},
        {"W-44", "64 queued writes", many_queued, usable({same("writes", "64 x ok/100000")})},
        {"W-45", "eight threads with six writes each", from_many_threads,
         usable({same("writes", "48 x ok/300000"), same("order within each group", "kept")})},
        {"W-47", "set_iov on a queued operation", set_iov_while_queued,
         usable({uaio_misuse(), differs("set_iov", "ok", "invalid_argument", busy),
                 same("head", "ok/16777216"), differs("queued", "ok/5", "ok/3", busy)})},
        {"W-48", "write_all on a busy operation", submit_twice,
         usable({kMisuseStops ? same(kProcess, kDies) : differs(kProcess, kDies, kLives, panic),
                 same("head", "ok/16777216")})},
        {"W-49", "an entry with a length and no address", no_address,
         usable({differs(kProcess, kDies, kLives, panic), same("write", "invalid_argument/0")})},
        {"W-49", "a last entry that cannot be read", bad_address_last,
         usable({differs(kProcess, kDies, kLives, panic), same("write", "EFAULT/0")})},
    };
}

}  // namespace differential
