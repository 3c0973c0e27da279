#include "tests/sim/transfer_run.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <numeric>
#include <utility>

namespace uaio {
namespace {

using std::chrono::nanoseconds;

constexpr std::int64_t kBusyNs = 2'000'000;  // all actions start within this virtual time
constexpr char kScribble = '\xdd';           // fills a buffer once the user owns it again

// A byte of the write direction, different enough that a shift or a repeat shows.
char pattern_at(std::uint64_t position) {
    return static_cast<char>((position * 2654435761u) >> 13);
}

}  // namespace

TransferRun::Operation::Operation(TransferRun& owner, bool is_write, bool is_all,
                                  std::vector<std::size_t> sizes)
    : run(owner),
      write(is_write),
      all(is_all),
      lengths(std::move(sizes)),
      aio(*owner.engine_, [this](Aio&) { run.on_end(*this); }) {
    std::vector<iovec> entries;
    for (const std::size_t length : lengths) {
        buffers.emplace_back(length > 0 ? new char[length] : nullptr);
        entries.push_back({buffers.back().get(), length});
        size += length;
    }
    if (aio.set_iov(entries)) throw std::bad_alloc();
}

TransferRun::TransferRun(Choices choices, std::uint64_t kernel_seed, Size most)
    : choices_(std::move(choices)),
      most_(most),
      faults_(faults_for(choices_)),
      kernel_(kernel_seed, faults_),
      engine_(std::make_unique<Engine>(kernel_)) {}

TransferRun::TransferRun(std::uint64_t seed)
    : TransferRun(Choices(seed), seed, {.entries = 1024, .bytes = 20000}) {}

TransferRun::TransferRun(std::span<const std::uint8_t> bytes)
    : TransferRun(Choices(bytes), bytes.size(), {.entries = 24, .bytes = 600}) {}

TransferRun::~TransferRun() {
    connection_.reset();
    listener_.reset();
    operations_.clear();
    engine_.reset();
}

// Each run omits some faults, so that rare ones also occur on an otherwise quiet network.
Faults TransferRun::faults_for(Choices& choices) {
    const auto one_in = [&choices](std::uint64_t number) { return choices.draw(number) == 0; };
    const auto sometimes = [&](unsigned most) {
        return one_in(2) ? static_cast<unsigned>(choices.draw(most + 1)) : 0u;
    };
    const auto nanoseconds_below = [&](std::uint64_t limit) {
        return nanoseconds(static_cast<std::int64_t>(choices.draw(limit)));
    };
    Faults faults;
    faults.short_write = sometimes(900);
    faults.short_read = sometimes(900);
    faults.reset = one_in(4) ? sometimes(30) : 0;
    faults.interrupted_operation = sometimes(200);
    faults.zero_copy_no_memory = sometimes(300);
    faults.zero_copy_refused = one_in(8) ? sometimes(300) : 0;
    faults.zero_copy_single = sometimes(900);
    faults.zero_copy_copied = sometimes(900);
    faults.late_cancel = sometimes(800);
    faults.reorder = sometimes(800);
    faults.interrupted_enter = sometimes(300);
    faults.busy = sometimes(300);
    faults.partial_submission = sometimes(500);
    if (one_in(3)) faults.submission_entries = 1u << choices.draw(4);
    if (one_in(3)) faults.completion_entries = 1u << choices.draw(4);
    faults.no_waitall = one_in(3);
    faults.no_zero_copy = one_in(4);
    if (!one_in(3)) faults.latency_max = nanoseconds_below(20000);
    if (!one_in(3)) faults.delay_max = nanoseconds_below(50000);
    // Never zero: single bytes keep a program busy beyond every planned action.
    faults.enter_time = nanoseconds(20) + nanoseconds_below(1000);
    faults.window = 1 + choices.draw(one_in(2) ? 64 : 100000);
    faults.lost_cancel = sometimes(500);
    faults.distant = one_in(2);
    if (one_in(3)) faults.lockable_bytes = 1 + choices.draw(200'000);
    return faults;
}

std::string TransferRun::run() {
    if (!connect()) return "the connection could not be made";
    disturbed_ = faults_.reset > 0;
    plan();
    for (unsigned turn = 0; planned_ > 0 && turn < 1'000'000; ++turn) {
        engine_->run_once(nanoseconds(100'000));
    }
    if (planned_ > 0) return "some planned actions did not happen";
    finish();
    return judge();
}

bool TransferRun::connect() {
    tcp::ListenOptions options;
    constexpr ZeroCopy kChoices[] = {ZeroCopy::off, ZeroCopy::on, ZeroCopy::automatic};
    options.stream.zero_copy = kChoices[draw(std::size(kChoices))];
    if (chance(100)) options.stream.queue_limit = 1 + draw(4);
    listener_ = std::make_unique<tcp::Listener>(*engine_, Endpoint::loopback(0), options);
    peer_ = &kernel_.connect_peer(listener_->local_endpoint().port());
    StreamPtr stream;
    Aio accepted(*engine_);
    listener_->accept(accepted, stream);
    if (accepted.wait()) return false;
    connection_ = std::make_unique<http::Connection>(std::move(stream));
    switch (draw(4)) {
        case 0: peer_->read_slowly(1 + draw(20000)); break;
        case 1: peer_->read_more(draw(50000)); break;
        default: break;
    }
    return true;
}

void TransferRun::plan() {
    const std::uint64_t writes = 1 + draw(8);
    for (std::uint64_t i = 0; i < writes; ++i)
        plan_operation(true);
    const std::uint64_t reads = draw(4);
    for (std::uint64_t i = 0; i < reads; ++i)
        plan_operation(false);
    const std::uint64_t disturbances = draw(4);
    for (std::uint64_t i = 0; i < disturbances; ++i)
        plan_disturbance();
}

void TransferRun::plan_operation(bool write) {
    std::vector<std::size_t> lengths(1 + draw(chance(50) ? most_.entries : 12));
    const std::uint64_t largest = 1 + draw(chance(300) ? most_.bytes : 200);
    for (std::size_t& length : lengths)
        length = chance(150) ? 0 : draw(largest);
    Operation& operation =
        *operations_.emplace_back(std::make_unique<Operation>(*this, write, chance(800), lengths));
    if (chance(200)) {
        operation.aio.set_timeout(nanoseconds(draw(kBusyNs)));
        operation.has_deadline = true;
    }
    const std::int64_t when = chance(300) ? 0 : static_cast<std::int64_t>(draw(kBusyNs));
    ++planned_;
    kernel_.schedule(nanoseconds(when), [this, &operation] {
        --planned_;
        submit(operation);
    });
    if (!chance(300)) return;
    const std::int64_t later = when + static_cast<std::int64_t>(draw(kBusyNs / 4));
    const std::uint64_t kind = draw(3);
    ++planned_;
    kernel_.schedule(nanoseconds(later), [this, &operation, kind] {
        --planned_;
        operation.asked_to_end = true;
        if (kind == 0) operation.aio.cancel();
        if (kind == 1) operation.aio.abort(std::make_error_code(std::errc::owner_dead));
        if (kind == 2) operation.aio.stop();
    });
}

void TransferRun::plan_disturbance() {
    const std::uint64_t kind = draw(8);
    const std::string bytes(1 + draw(30000), 'p');
    ++planned_;
    kernel_.schedule(nanoseconds(draw(kBusyNs)), [this, kind, bytes] {
        --planned_;
        switch (kind) {
            case 0:
                connection_->close();
                closed_here_ = true;
                break;
            case 1:
                if (!chance(300)) break;
                peer_->reset();
                disturbed_ = true;
                break;
            case 2:
                if (!chance(300)) break;
                peer_->close();
                disturbed_ = true;
                break;
            case 3: peer_->shutdown_write(); break;
            case 4: peer_->read_more(bytes.size()); break;
            default: {
                std::string numbered = bytes;
                for (std::size_t i = 0; i < numbered.size(); ++i) {
                    numbered[i] = pattern_at(sent_by_peer_.size() + i);
                }
                sent_by_peer_ += numbered;
                peer_->send(numbered);
            }
        }
    });
}

void TransferRun::fill(Operation& operation) {
    for (std::size_t i = 0; i < operation.lengths.size(); ++i) {
        for (std::size_t j = 0; j < operation.lengths[i]; ++j) {
            operation.buffers[i][j] = pattern_at(pattern_++);
        }
    }
}

void TransferRun::submit(Operation& operation) {
    operation.submitted = true;
    if (!operation.write) {
        read_.push_back(&operation);
        operation.all ? connection_->read_all(operation.aio) : connection_->read(operation.aio);
        return;
    }
    fill(operation);
    written_.push_back(&operation);
    operation.all ? connection_->write_all(operation.aio) : connection_->write(operation.aio);
}

// From here on the user owns the buffers: a late read by the kernel would get the scribble.
void TransferRun::on_end(Operation& operation) {
    ++operation.callbacks;
    operation.result = operation.aio.result();
    operation.count = operation.aio.count();
    std::size_t left = operation.count;
    for (std::size_t i = 0; i < operation.lengths.size(); ++i) {
        const std::size_t here = std::min(left, operation.lengths[i]);
        if (!operation.write && here > 0)
            operation.received.append(operation.buffers[i].get(), here);
        left -= here;
        if (operation.lengths[i] > 0) {
            std::memset(operation.buffers[i].get(), kScribble, operation.lengths[i]);
        }
        operation.buffers[i].reset();
    }
}

std::size_t TransferRun::ended_with(std::error_code error) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        operations_, [&](const auto& operation) { return operation->result == error; }));
}

bool TransferRun::settled() const {
    return std::ranges::all_of(operations_, [](const auto& operation) {
        return operation->callbacks > 0 || !operation->submitted;
    });
}

// The peer reads the rest; an operation pending long after that waits for bytes never sent.
void TransferRun::finish() {
    peer_->read_everything();
    for (unsigned turn = 0; !settled() && turn < 2000; ++turn) {
        engine_->run_once(nanoseconds(1'000'000));
    }
    connection_->close();
    closed_here_ = closed_here_ || !settled();
    for (unsigned turn = 0; turn < 2000; ++turn) {
        engine_->run_once(nanoseconds(1'000'000));
        if (settled() && kernel_.pending_operations() == 0 && turn > 20) break;
    }
    kernel_.advance(std::chrono::seconds(10));
}

std::string TransferRun::judge() {
    for (const auto& operation : operations_) {
        if (std::string wrong = judge_one(*operation); !wrong.empty()) return wrong;
    }
    if (std::string wrong = judge_writes(); !wrong.empty()) return wrong;
    if (std::string wrong = judge_reads(); !wrong.empty()) return wrong;
    return judge_kernel();
}

std::string TransferRun::judge_one(const Operation& operation) const {
    const std::string name = operation.write ? "a write" : "a read";
    if (operation.callbacks != 1) {
        return name + " had " + std::to_string(operation.callbacks) + " callbacks";
    }
    const std::error_code result = operation.result;
    const std::string how = name + " of " + std::to_string(operation.size) + " ended with " +
                            result.message() + ", " + std::to_string(operation.count);
    if (operation.count > operation.size) return how + ": more than the buffer";
    if (!result) {
        const bool enough = operation.all ? operation.count == operation.size
                                          : operation.count > 0 || operation.size == 0;
        return enough ? "" : how + ": success with too few bytes";
    }
    if (operation.count == operation.size && operation.size > 0)
        return how + ": all bytes were transferred";
    if (result == Errc::canceled || result == std::errc::owner_dead) {
        return operation.asked_to_end ? "" : how + ": no cancel was requested";
    }
    if (result == Errc::timed_out) return operation.has_deadline ? "" : how + ": no deadline";
    if (result == Errc::connection_reset) return disturbed_ ? "" : how + ": no reset occurred";
    const bool known = result == Errc::closed || result == Errc::no_buffer_space ||
                       (result == Errc::end_of_stream && !operation.write);
    return known ? "" : how + ": an error without a cause";
}

// The peer got the bytes of the writes in submission order; a write that failed midway is the last
// that sent anything.
std::string TransferRun::judge_writes() const {
    const std::string& got = peer_->received();
    std::size_t at = 0;          // in the bytes that the peer got
    std::uint64_t position = 0;  // in the pattern
    bool torn = false;
    for (const Operation* write : written_) {
        if (torn && write->count > 0) return "a write sent bytes behind an incomplete one";
        const std::size_t expected = std::min(write->count, got.size() - at);
        if (expected < write->count && !disturbed_)
            return "the peer received fewer bytes than counted";
        for (std::size_t i = 0; i < expected; ++i) {
            if (got[at + i] != pattern_at(position + i)) return "the peer received wrong bytes";
        }
        at += expected;
        position += write->size;
        if (write->result && write->count > 0) torn = true;
    }
    return at == got.size() ? "" : "the peer received more bytes than counted";
}

std::string TransferRun::judge_reads() const {
    std::string got;
    for (const Operation* read : read_)
        got += read->received;
    if (sent_by_peer_.compare(0, got.size(), got) != 0) return "a read received wrong bytes";
    return "";
}

std::string TransferRun::judge_kernel() {
    connection_.reset();
    listener_.reset();
    for (unsigned turn = 0; turn < 50; ++turn)
        engine_->run_once(nanoseconds(1'000'000));
    if (engine_->statistics().in_flight != 0) return "the engine counts an operation in flight";
    if (engine_->statistics().misuse != 0) return "the engine counted a misuse";
    if (kernel_.pending_operations() != 0) {
        return "the kernel still has " + kernel_.describe_pending();
    }
    if (kernel_.open_descriptors() != 0) return "a descriptor is still open";
    return "";
}

}  // namespace uaio
