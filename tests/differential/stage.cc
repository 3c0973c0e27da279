#include "tests/differential/stage.h"

#include "tests/differential/quiescence.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <thread>

namespace differential {
namespace {

using Moment = std::chrono::steady_clock;

constexpr std::size_t kEverything = SIZE_MAX;
constexpr char kMarkerByte = '\xff';  // in no transfer's bytes
constexpr std::size_t kMarkerSize = 4;

bool ends_with_marker(const std::string& bytes) {
    return bytes.ends_with(std::string(kMarkerSize, kMarkerByte));
}

}  // namespace

Stage::Stage(Driver& driver) : driver_(driver) {
    if (const std::string result = driver_.connect(peer_.port()); result != "ok") {
        throw std::runtime_error("the connect ended with " + result);
    }
    peer_.accept();
    socket_.emplace(peer_.port());
}

// --- Operations ---

Transfer& Stage::make(std::string name) {
    Transfer& made =
        transfers_.emplace_back(std::move(name), static_cast<unsigned>(transfers_.size() + 1));
    made.record = std::make_shared<Record>();
    made.operation = driver_.make(made.record);
    return made;
}

Transfer& Stage::make(std::string name, std::size_t size, std::size_t entries) {
    Transfer& made = make(std::move(name));
    made.set_bytes(size, entries);
    return made;
}

Transfer& Stage::make_without_callback(std::string name, std::size_t size) {
    Transfer& made =
        transfers_.emplace_back(std::move(name), static_cast<unsigned>(transfers_.size() + 1));
    made.operation = driver_.make(nullptr);
    made.set_bytes(size);
    return made;
}

void Stage::set_timeout(Transfer& transfer, std::chrono::milliseconds timeout) {
    transfer.operation->set_timeout(timeout);
    transfer.timed = timeout > std::chrono::milliseconds(0);
}

void Stage::submit(Verb verb, Transfer& transfer) {
    prepare(verb, transfer);
    driver_.submit(verb, *transfer.operation);
}

void Stage::prepare(Verb verb, Transfer& transfer) {
    transfer.submitted(verb);
    Submission* const submission = transfer.submissions.back().get();
    if (verb == Verb::message) return;
    (submission->writes() ? writes_ : reads_).push_back(submission);
}

void Stage::submit(Transfer& transfer, const std::function<void(Operation&)>& verb) {
    prepare(Verb::message, transfer);
    verb(*transfer.operation);
}

void Stage::transact(Transfer& transfer, std::string_view method) {
    follows_up_ = false;
    submit(transfer, [&](Operation& operation) { driver_.transact(method, operation); });
}

Transfer& Stage::start(Verb verb, std::string name, std::size_t size) {
    Transfer& made = make(std::move(name), size);
    submit(verb, made);
    return made;
}

void Stage::free(Transfer& transfer) { transfer.operation.reset(); }

void Stage::close() {
    closed_ = true;
    follows_up_ = false;
    driver_.close();
}

// --- Waiting ---

bool Stage::until(const char* what, const std::function<bool()>& done) {
    const auto deadline = Moment::now() + kPatience;
    while (!done()) {
        if (Moment::now() > deadline) {
            note(std::string("never ") + what, "true");
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

bool Stage::until_ended(Transfer& transfer) {
    if (!transfer.record->wait(transfer.submissions.size(), kPatience)) {
        note(transfer.name() + " never ended", "true");
        return false;
    }
    transfer.operation->wait();  // its callback has begun, so this ends
    return true;
}

bool Stage::until_idle() { return until("quiet", is_idle); }

bool Stage::until_blocked() {
    return until("blocked",
                 [&] { return peer_.wait_readable(1) && socket_->is_full() && is_idle(); });
}

bool Stage::until_hung_up() {
    return until("hung up", [&] { return socket_->is_hung_up(); });
}

bool Stage::until_head() {
    return until("a head at the peer", [&] {
        peer_.read_some(kEverything);
        return !peer_.take_head().empty();
    });
}

bool Stage::read_until_ended(Transfer& transfer) {
    return until("ended while the peer read", [&] {
        peer_.read_some(kEverything);
        return transfer.record->wait(transfer.submissions.size(), std::chrono::milliseconds(1));
    });
}

// --- Noting ---

void Stage::note(std::string name, std::string value) {
    observation_.add(std::move(name), std::move(value));
}

void Stage::note(std::string name, const Ending& ending) {
    note(std::move(name), ending.result + '/' + std::to_string(ending.count));
}

// --- The end ---

Observation Stage::conclude() {
    if (follows_up_) {
        follow_up();
    } else {
        drain(nullptr);
    }
    await_all();
    end_ = end_in_words();
    if (!closed_) driver_.close();
    for (Transfer& transfer : transfers_) {
        if (transfer.record) transfer.operation.reset();
    }
    peer_.read_some(peer_.reads() ? kEverything : 0);
    if (group_ > 0) {
        compare_in_any_order();
    } else {
        compare_writes();
    }
    compare_reads();
    report();
    return observation_;
}

void Stage::follow_up() {
    Transfer& transfer = make("follow-up");
    transfer.bytes().assign(kMarkerSize, kMarkerByte);
    transfer.set_entries(transfer.cut({kMarkerSize}));
    submit(Verb::write_all, transfer);
    drain(&transfer);
}

// The peer reads to the end of what will arrive: the marker of the last write, or the end.
void Stage::drain(const Transfer* last) {
    if (!peer_.reads()) return;
    auto deadline = Moment::now() + kPatience;
    while (Moment::now() < deadline) {
        if (peer_.read_some(kEverything) > 0) deadline = Moment::now() + kPatience;
        if (peer_.end() != End::open) return;
        if (last && ends_with_marker(peer_.received()) && last->ended()) return;
        if (!peer_.wait_readable(1) && idle() && !peer_.wait_readable(0)) return;
    }
}

void Stage::await_all() {
    const auto deadline = Moment::now() + kPatience;
    const auto ended = [](const Transfer& transfer) { return transfer.ended(); };
    while (!std::all_of(transfers_.begin(), transfers_.end(), ended)) {
        if (idle() || Moment::now() > deadline) return;
    }
}

// True if only an external action can cause progress: no thread runs, no deadline is pending, and
// the sockets have delivered all bytes.
bool Stage::idle() {
    for (const Transfer& transfer : transfers_) {
        if (transfer.timed && !transfer.ended()) return false;
    }
    return is_idle() && !(peer_.reads() && socket_->has_unsent());
}

// The peer's bytes must contain a prefix of every write, in submission order.
void Stage::compare_writes() {
    if (!peer_.reads()) return;
    const std::string& received = peer_.received();
    std::size_t at = 0;
    for (Submission* write : writes_) {
        const std::size_t size = std::min(write->sent.size(), received.size() - at);
        const char* const from = received.data() + at;
        const char* const differs = std::mismatch(from, from + size, write->sent.data()).first;
        write->found = static_cast<std::size_t>(differs - from);
        write->comparable = true;
        at += write->found;
    }
    garbled_ = at < received.size();
}

// The peer must have every write once and whole, after the earlier ones of its group.
void Stage::compare_in_any_order() {
    std::string_view rest = peer_.received();
    std::vector<std::size_t> found_of_group(writes_.size() / group_ + 1);
    bool kept = true;
    for (;;) {
        const auto next =
            std::find_if(writes_.begin(), writes_.end(), [&](const Submission* write) {
                return write->found == 0 && rest.starts_with(write->sent);
            });
        if (next == writes_.end()) break;
        const auto number = static_cast<std::size_t>(next - writes_.begin());
        kept = kept && number % group_ == found_of_group[number / group_]++;
        (*next)->found = (*next)->sent.size();
        rest.remove_prefix((*next)->found);
    }
    for (Submission* write : writes_)
        write->comparable = true;
    garbled_ = !rest.empty();
    note("order within each group", kept ? "kept" : "lost");
}

// Every read must hold the next bytes that the peer sent. Unread parts still hold the transfer's
// own pattern. Skips a list that was submitted twice.
void Stage::compare_reads() {
    std::size_t at = 0;
    std::map<const std::string*, unsigned> uses;
    for (const Submission* read : reads_)
        ++uses[read->bytes.get()];
    for (Submission* read : reads_) {
        if (uses[read->bytes.get()] > 1) continue;
        const std::string now = gather(read->entries);
        const std::size_t size = std::min(now.size(), peer_.sent().size() - at);
        const char* const from = peer_.sent().data() + at;
        const char* const differs = std::mismatch(from, from + size, now.data()).first;
        read->found = static_cast<std::size_t>(differs - from);
        read->comparable = true;
        at += read->found;
    }
}

std::string Stage::end_in_words() const {
    if (!peer_.reads()) return "gone";
    switch (peer_.end()) {
        case End::open: return "open";
        case End::finished: return "end of stream";
        case End::reset: return "reset";
    }
    return "";
}

void Stage::report() {
    std::vector<std::string> names;
    std::map<std::string, std::vector<std::string>> values;
    for (const Transfer& transfer : transfers_) {
        if (transfer.submissions.empty()) continue;
        if (values[transfer.name()].empty()) names.push_back(transfer.name());
        values[transfer.name()].push_back(transfer.in_words());
    }
    for (const std::string& name : names) {
        const std::vector<std::string>& all = values[name];
        std::string text;
        std::map<std::string, unsigned> tally;
        for (const std::string& value : all)
            ++tally[value];
        for (const auto& [value, times] : tally) {
            if (!text.empty()) text += ", ";
            text += (all.size() > 1 ? std::to_string(times) + " x " : "") + value;
        }
        note(name, text);
    }
    note("peer", end_ + (garbled_ ? ", bytes out of order" : ""));
}

}  // namespace differential
