#include "engine/kernel/sim/sim_kernel.h"

#include "engine/kernel/sim/sim_failure.h"
#include "engine/kernel/sim/sim_scope.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iterator>

namespace uaio {
namespace {

constexpr unsigned kSubmissionEntries = 256;
constexpr unsigned kCompletionEntries = 4096;

// A kernel that always refuses would make any program hang.
constexpr unsigned kMostRefusals = 3;

constexpr auto kNever = Clock::time_point::max();

struct NamedCounter {
    const char* name;
    std::uint64_t SimCounters::*counter;
};

constexpr NamedCounter kCounters[] = {
    {"operations", &SimCounters::operations},
    {"completions", &SimCounters::completions},
    {"overflows", &SimCounters::overflows},
    {"short_writes", &SimCounters::short_writes},
    {"short_reads", &SimCounters::short_reads},
    {"no_buffers", &SimCounters::no_buffers},
    {"resets", &SimCounters::resets},
    {"interrupted_operations", &SimCounters::interrupted_operations},
    {"connects_failed", &SimCounters::connects_failed},
    {"accepts_aborted", &SimCounters::accepts_aborted},
    {"accepts_exhausted", &SimCounters::accepts_exhausted},
    {"zero_copy_no_memory", &SimCounters::zero_copy_no_memory},
    {"zero_copy_refused", &SimCounters::zero_copy_refused},
    {"zero_copy_single", &SimCounters::zero_copy_single},
    {"zero_copy_copied", &SimCounters::zero_copy_copied},
    {"late_cancels", &SimCounters::late_cancels},
    {"lost_cancels", &SimCounters::lost_cancels},
    {"held_completions", &SimCounters::held_completions},
    {"missed_cancels", &SimCounters::missed_cancels},
    {"reorders", &SimCounters::reorders},
    {"interrupted_enters", &SimCounters::interrupted_enters},
    {"busy_enters", &SimCounters::busy_enters},
    {"partial_submissions", &SimCounters::partial_submissions},
    {"scripted", &SimCounters::scripted},
    {"without_nosignal", &SimCounters::without_nosignal},
};
static_assert(sizeof(SimCounters) == std::size(kCounters) * sizeof(std::uint64_t));

}  // namespace

// --- The ring ---

SimMachine::SimMachine(std::uint64_t seed, const Faults& faults)
    : world_(seed, faults),
      network_(world_.events, world_.random, world_.faults),
      descriptors_(faults.descriptors),
      memory_(faults.submission_entries ? faults.submission_entries : kSubmissionEntries,
              faults.completion_entries ? faults.completion_entries : kCompletionEntries),
      operations_(world_, network_, descriptors_, memory_),
      peers_(world_, network_) {
    ring_ = memory_.view();
    features_.send_zero_copy = !faults.no_zero_copy;
    features_.sendmsg_zero_copy = !faults.no_zero_copy && !faults.no_waitall;
    features_.report_zero_copy_usage = !faults.no_zero_copy;
    features_.send_waitall = !faults.no_waitall;
    if (faults.lockable_bytes > 0) features_.lockable_bytes = faults.lockable_bytes;
    features_.calls_on_any_thread = false;
    reason_ = "a simulated kernel, seed " + std::to_string(seed);
}

std::error_code SimMachine::notify(int) noexcept {
    // No other loop can wait for virtual time.
    return std::make_error_code(std::errc::operation_not_supported);
}

bool SimMachine::pending() const noexcept { return memory_.overflowed() || world_.events.due(); }

// Runs the user's scheduled action last, when this kernel's state is consistent for any call of the
// action, an enter() of a full submission ring included.
int SimMachine::enter(unsigned wait, Clock::time_point deadline) noexcept {
    DCHECK(ring_.is_consistent());
    Action action;
    int result = 0;
    {
        const SimScope scope(*this);
        result = turn(wait, deadline, action);
        DCHECK(result <= 0 && operations_.invariants_hold());
    }
    DCHECK(ring_.is_consistent());
    if (action) action();
    return result;
}

int SimMachine::turn(unsigned wait, Clock::time_point deadline, Action& action) {
    memory_.flush_overflow();
    if (const int refused = refuse(wait)) return refused;
    world_.events.move_to(world_.events.after(world_.faults.enter_time));
    const unsigned queued = memory_.queued();
    unsigned limit = queued;
    const bool splits = queued > 1 && world_.strikes(world_.faults.partial_submission,
                                                     world_.counters.partial_submissions);
    if (splits) {
        limit = static_cast<unsigned>(world_.random.between(1, queued - 1));
    }
    io_uring_sqe sqe;
    for (unsigned taken = 0; taken < limit; ++taken) {
        // Like a signal: an enter() that has submitted entries is no failure.
        if (pauses(action)) return taken > 0 || enough(wait) ? 0 : -EINTR;
        memory_.take(sqe);
        world_.events.step(SimEvents::Kind::submission);
        operations_.begin(sqe);
    }
    // io_uring_enter(2) does not wait when it could not submit everything.
    if (limit < queued) return 0;
    const int result = collect(wait, deadline, action);
    return result == -EINTR && limit > 0 ? 0 : result;
}

int SimMachine::refuse(unsigned wait) {
    const Faults& faults = world_.faults;
    SimCounters& counters = world_.counters;
    DCHECK(refusals_ <= kMostRefusals);
    if (refusals_ < kMostRefusals) {
        ++refusals_;
        const bool full = faults.busy > 0 && memory_.overflowed();
        if (full || world_.random.chance(faults.busy)) {
            ++counters.busy_enters;
            return full || world_.random.chance(500) ? -EBUSY : -EAGAIN;
        }
        if (wait > 0 && world_.strikes(faults.interrupted_enter, counters.interrupted_enters)) {
            return -EINTR;
        }
    }
    refusals_ = 0;
    return 0;
}

bool SimMachine::enough(unsigned wait) const noexcept {
    return memory_.ready() >= std::min(wait, memory_.completion_entries());
}

bool SimMachine::pauses(Action& action) {
    std::optional<Action> paused = world_.events.paused();
    if (!paused) return false;
    action = std::move(*paused);
    return true;
}

// Runs all due events; true if the user's action or pause stopped it.
bool SimMachine::happens(Action& action) {
    while (!pauses(action)) {
        if (!world_.events.due()) return false;
        action = world_.events.happen();
        if (action) return true;
    }
    return true;
}

int SimMachine::collect(unsigned wait, Clock::time_point deadline, Action& action) {
    const Faults& faults = world_.faults;
    for (;;) {
        if (happens(action)) return enough(wait) ? 0 : -EINTR;
        if (enough(wait) || woken_.exchange(false, std::memory_order_acq_rel)) return 0;
        if (deadline <= now()) return -ETIME;
        if (world_.strikes(faults.interrupted_enter, world_.counters.interrupted_enters)) {
            return -EINTR;
        }
        SimEvents& events = world_.events;
        if (events.empty() && deadline == kNever) deadlock();
        if (events.empty() || events.next() > deadline) {
            events.move_to(deadline);
            return -ETIME;
        }
        events.move_to(events.next());
    }
}

void SimMachine::deadlock() noexcept {
    sim_failed(
        "the program waits and no event is pending; on a real kernel it would wait for ever");
}

void SimMachine::advance_to(Clock::time_point time) {
    for (;;) {
        Action action;
        {
            const SimScope scope(*this);
            while (!happens(action)) {
                const bool more = !world_.events.empty() && world_.events.next() <= time;
                world_.events.move_to(more ? world_.events.next() : time);
                if (!more) return;
            }
        }
        if (action) action();
    }
}

std::string SimMachine::describe() const {
    const std::chrono::nanoseconds since = world_.events.now().time_since_epoch();
    std::string text = "seed=" + std::to_string(world_.seed) +
                       " time_ns=" + std::to_string(since.count()) +
                       " steps=" + std::to_string(world_.events.steps());
    for (const NamedCounter& named : kCounters) {
        const std::uint64_t value = world_.counters.*named.counter;
        if (value > 0) text += std::string(" ") + named.name + "=" + std::to_string(value);
    }
    return text;
}

// --- Marking, and failing ---

thread_local const SimMachine* SimScope::current_ = nullptr;

void sim_failed(const std::string& what) noexcept {
    std::fprintf(stderr, "uaio: the simulated kernel stopped the program: %s\n", what.c_str());
    if (const SimMachine* const machine = SimScope::current()) {
        std::fprintf(stderr, "%s\n%s", machine->describe().c_str(),
                     machine->operations().describe().c_str());
    }
    std::abort();
}

// --- The public face ---

Kernel& kernel_of(SimKernel& kernel) noexcept { return *kernel.machine_; }

SimKernel::SimKernel(std::uint64_t seed, const Faults& faults)
    : machine_(std::make_unique<SimMachine>(seed, faults)) {}
SimKernel::~SimKernel() = default;

Clock::time_point SimKernel::now() const noexcept { return machine_->now(); }
void SimKernel::advance(std::chrono::nanoseconds duration) {
    advance_to(machine_->world().events.after(duration));
}
void SimKernel::advance_to(Clock::time_point time) { machine_->advance_to(time); }
void SimKernel::schedule(std::chrono::nanoseconds after, std::function<void()> action) {
    machine_->world().events.plan_after(after, SimEvents::Kind::user, std::move(action));
}
std::uint64_t SimKernel::steps() const noexcept { return machine_->world().events.steps(); }
void SimKernel::at_step(std::uint64_t step, std::function<void()> action) {
    machine_->world().events.pause_at(step, std::move(action));
}

void SimKernel::script_send_lengths(const std::vector<std::size_t>& lengths) {
    machine_->world().send_lengths.add(lengths);
}
void SimKernel::script_receive_lengths(const std::vector<std::size_t>& lengths) {
    machine_->world().receive_lengths.add(lengths);
}
void SimKernel::script_error(SimCall call, int error, unsigned skip) {
    machine_->world().errors.add(call, error, skip);
}

SimPeer& SimKernel::connect_peer(std::uint16_t port) {
    SimAddress target = SimAddress::loopback(AF_INET, port);
    if (!machine_->has_listener(target)) {
        const SimAddress v6 = SimAddress::loopback(AF_INET6, port);
        if (machine_->has_listener(v6)) target = v6;
    }
    return machine_->peers().connect(target);
}
SimPeer& SimKernel::connect_peer(std::string_view path) {
    return machine_->peers().connect(SimAddress::path(path));
}
SimListener& SimKernel::listen_peer(std::uint16_t port) {
    SimAddress address = SimAddress::any(AF_INET6);
    address.set_port(port);
    return machine_->peers().listen(address);
}
SimListener& SimKernel::listen_peer(std::string_view path) {
    return machine_->peers().listen(SimAddress::path(path));
}

std::size_t SimKernel::pending_operations() const noexcept {
    return machine_->operations().pending();
}
std::size_t SimKernel::open_descriptors() const noexcept { return machine_->descriptors().open(); }
std::uint64_t SimKernel::bytes_sent(int fd) const noexcept {
    const SimSocket* const socket = machine_->descriptors().find(fd);
    return socket ? socket->bytes_sent : 0;
}
const SimCounters& SimKernel::counters() const noexcept { return machine_->world().counters; }
std::uint64_t SimKernel::fingerprint() const noexcept {
    return machine_->world().events.fingerprint();
}
std::string SimKernel::describe() const { return machine_->describe(); }
std::string SimKernel::describe_pending() const { return machine_->operations().describe(); }
bool SimKernel::running() noexcept { return SimScope::current() != nullptr; }

}  // namespace uaio
