// A SimKernel is a kernel in memory, with a network, peers and a clock of its own, so that servers
// and clients built on uaio can be tested against everything that networks do, fast and repeatably:
//
//     uaio::SimKernel kernel(seed, {.short_write = 300, .reset = 5});
//     uaio::Engine engine(kernel);
//     uaio::tcp::Listener listener(engine, uaio::Endpoint::loopback(80));
//     uaio::SimPeer& peer = kernel.connect_peer(80);
//
// Everything follows from the seed, the faults and the calls made: the same three give the same
// run. Engine, kernel and peers belong to one thread, and the kernel outlives the engine; it
// carries one engine. The behaviour of sockets and of io_uring is that of Linux 6.18, as measured;
// a fault makes it worse only in ways that a real kernel may show. Files are the real ones, and
// names are not simulated: give a Resolver threads = 0 and a `lookup`.
//
// The kernel stops the program by abort(3), with describe() and describe_pending() on standard
// error, when the engine waits without a deadline and nothing is left to happen, which would be a
// hang, and for an operation of a provider that it does not simulate. It simulates sends and
// receives, IORING_OP_ACCEPT, CONNECT, READ, POLL_ADD, SHUTDOWN, CLOSE, ASYNC_CANCEL and NOP,
// without links, fixed files and multishot.
#pragma once

#include <uaio/clock.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace uaio {

class Kernel;
class SimListenerState;
class SimMachine;
class SimPeerState;

// The faults of a SimKernel, and how often they occur. Rates are per mille of the occasions named;
// all of them are zero and all switches off at first: a fast kernel that does everything in full
// and in order. 1000 makes every attempt fail; most programs cannot make progress then. 900 is a
// lot.
struct Faults {
    // Transfers. A short one takes any length from 1 up, although more would have fitted; with
    // MSG_WAITALL the kernel then continues by itself, or ends the send short as a signal would.
    unsigned short_write = 0;            // of attempts to send
    unsigned short_read = 0;             // of attempts to receive, and to read a file
    unsigned reset = 0;                  // of attempts to send or receive: the connection breaks
    unsigned interrupted_operation = 0;  // of sends, receives and accepts: -EINTR
    unsigned no_buffer = 0;              // of receives that take a provided buffer: -ENOBUFS
    unsigned connect_failed = 0;         // of connects: refused, timed out or unreachable
    unsigned accept_aborted = 0;         // of accepts: -ECONNABORTED, and the peer is reset
    unsigned accept_exhausted = 0;       // of accepts: -EMFILE; the connection stays in the queue

    // Zero-copy sends.
    unsigned zero_copy_no_memory = 0;  // -ENOMEM
    unsigned zero_copy_refused = 0;    // -EOPNOTSUPP
    unsigned zero_copy_single = 0;     // of failed ones: no notification follows the result
    unsigned zero_copy_copied = 0;     // the kernel copies after all, and reports so

    // The ring. A late cancel meets an operation that is done (-ENOENT) or too far to be stopped at
    // once (-EALREADY); the latter then still ends in full, in part or cancelled. A lost cancel
    // meets one that the kernel is about to try again: -ENOENT, and the operation continues to
    // wait.
    unsigned late_cancel = 0;         // of cancels, and of completions, delayed for one to meet
    unsigned lost_cancel = 0;         // of cancels of waiting MSG_WAITALL transfers and accepts
    unsigned reorder = 0;             // of completions: overtaken by others of the same instant
    unsigned interrupted_enter = 0;   // -EINTR, with nothing or only the submission done
    unsigned busy = 0;                // -EBUSY or -EAGAIN, nothing taken; at most three in a row
    unsigned partial_submission = 0;  // only some of the published entries are taken
    unsigned submission_entries = 0;  // size of the submission ring; 0: 256
    unsigned completion_entries = 0;  // size of the completion ring; 0: 4096

    // Older kernels. Before 6.1 the count of a cancelled MSG_WAITALL is lost, and
    // IORING_OP_SENDMSG_ZC does not exist; before 6.0 there are no zero-copy sends at all.
    bool no_waitall = false;
    bool no_zero_copy = false;

    // An operation takes a random time between these, before it begins or before it is reported.
    std::chrono::nanoseconds latency_min{0};
    std::chrono::nanoseconds latency_max{0};
    // So do bytes, ends of stream and resets on their way; they never overtake one another.
    std::chrono::nanoseconds delay_min{0};
    std::chrono::nanoseconds delay_max{0};

    // The time that each enter() takes. At zero, time stands still for a program that always has
    // something to do, so it meets no deadline and no scheduled action.
    std::chrono::nanoseconds enter_time{0};

    // Bytes that one direction of a connection holds, send and receive buffer together, unless
    // SO_SNDBUF, SO_RCVBUF or SimPeer::set_window() say otherwise.
    std::size_t window = 256 * 1024;
    // Descriptors that may be open before -EMFILE; 0: any number.
    unsigned descriptors = 0;
    // Peers are on another host, 192.0.2.1 (getpeername(2)), where ZeroCopy::automatic sends
    // without a copy. Otherwise they are on the loopback.
    bool distant = false;
    // RLIMIT_MEMLOCK, by which engines limit what they send without a copy; 0: no limit.
    std::uint64_t lockable_bytes = 0;
};

// How often each thing happened since the kernel was made; those with the name of a rate in Faults
// count its faults.
struct SimCounters {
    std::uint64_t operations = 0;   // SQEs taken
    std::uint64_t completions = 0;  // CQEs posted, notifications included
    std::uint64_t overflows = 0;    // of those, delayed because the ring was full
    std::uint64_t short_writes = 0;
    std::uint64_t short_reads = 0;
    std::uint64_t resets = 0;
    std::uint64_t interrupted_operations = 0;
    std::uint64_t no_buffers = 0;  // also where there was none
    std::uint64_t connects_failed = 0;
    std::uint64_t accepts_aborted = 0;
    std::uint64_t accepts_exhausted = 0;
    std::uint64_t zero_copy_no_memory = 0;
    std::uint64_t zero_copy_refused = 0;
    std::uint64_t zero_copy_single = 0;
    std::uint64_t zero_copy_copied = 0;
    std::uint64_t late_cancels = 0;      // cancels answered with -EALREADY
    std::uint64_t lost_cancels = 0;      // operations that a cancel did not find
    std::uint64_t held_completions = 0;  // completions delayed for a cancel to miss
    std::uint64_t missed_cancels = 0;    // cancels answered with -ENOENT
    std::uint64_t reorders = 0;
    std::uint64_t interrupted_enters = 0;
    std::uint64_t busy_enters = 0;
    std::uint64_t partial_submissions = 0;
    std::uint64_t scripted = 0;          // lengths and errors that a script decided
    std::uint64_t without_nosignal = 0;  // sends that lacked MSG_NOSIGNAL: a SIGPIPE on old kernels
};

// The calls that script_error() can make fail: operations of the ring and system calls of set-up
// alike. One that the library makes both ways counts as one kind.
enum class SimCall : std::uint8_t {
    socket,
    bind,
    listen,
    set_option,
    get_option,
    accept,
    connect,
    send,
    receive,
    shutdown,
    close,
    read,  // of a file
};

// The far end of a connection, driven by a test instead of an engine. Made by SimKernel, which owns
// it; valid as long as the kernel, also after the connection is over. It reads everything at once
// until a member says otherwise. All members are for the thread of the kernel, between turns of the
// engine or inside an action of schedule(), at_step(), on_receive() or on_accept(). They throw
// std::bad_alloc at most. A call that the state of the connection does not allow has no effect.
class SimPeer {
public:
    // Of the connection, as this side sees it.
    enum class State : std::uint8_t {
        connecting,
        connected,
        refused,  // never connected
        reset,    // by the other side
        closed,   // by this side, close() or reset()
    };

    // For SimKernel: see connect_peer() and SimListener::peers().
    explicit SimPeer(std::unique_ptr<SimPeerState> state);
    ~SimPeer();
    SimPeer(const SimPeer&) = delete;
    SimPeer& operator=(const SimPeer&) = delete;

    State state() const noexcept;

    // Sends any number of bytes; those for which the connection has no room wait here. Ignored
    // after shutdown_write(), close() or a reset.
    void send(std::string_view bytes);
    // Bytes of send() that wait for room in the connection.
    std::size_t unsent() const noexcept;

    // All bytes read so far, from the first one on; kept for the life of the peer. Valid until more
    // is read.
    const std::string& received() const noexcept;
    // Bytes that have arrived and were not read.
    std::size_t unread() const noexcept;

    // How this peer reads, from now on: not at all, all that arrives at once, `bytes` more and then
    // nothing, or `bytes` a millisecond.
    void read_nothing();
    void read_everything();
    void read_more(std::size_t bytes);
    void read_slowly(std::size_t bytes);

    // How many bytes the other side can send before this peer reads; 1 or more. Bytes under way
    // stay. Overrides Faults::window and the socket options of the other side.
    void set_window(std::size_t bytes);

    // Ends what this side sends, after what send() was given (FIN).
    void shutdown_write();
    // Nothing more is read. A tcp sender does not notice; a unix one gets -EPIPE.
    void shutdown_read();
    // Closes when everything sent has left. If unread bytes are there, the other side is reset.
    void close();
    // Resets the connection; bytes that wait here are lost, those under way still arrive first.
    void reset();

    // The other side's end of stream has arrived; bytes before it may still be unread.
    bool saw_fin() const noexcept;
    // The other side has reset the connection.
    bool saw_reset() const noexcept;

    // `action` runs, as by SimKernel::schedule() with a delay of zero, after bytes were read or an
    // end arrived; several arrivals may share one call. Replaces an earlier action; an empty one
    // ends it.
    void on_receive(std::function<void(SimPeer&)> action);

private:
    friend class SimPeerState;
    std::unique_ptr<SimPeerState> state_;
};

// A server without an engine, for connects of uaio: every connection becomes a SimPeer. Made by
// SimKernel, which owns it; valid as long as the kernel. The thread of the kernel, as for SimPeer.
class SimListener {
public:
    // For SimKernel: see listen_peer().
    explicit SimListener(std::unique_ptr<SimListenerState> state);
    ~SimListener();
    SimListener(const SimListener&) = delete;
    SimListener& operator=(const SimListener&) = delete;

    // The tcp port, 0 for a path.
    std::uint16_t port() const noexcept;

    // The connections so far, oldest first, those that are over included.
    const std::vector<SimPeer*>& peers() const noexcept;

    // For connections to come: as the members of SimPeer with these names. Only the members of each
    // peer undo read_nothing().
    void set_window(std::size_t bytes);
    void read_nothing();
    // `action` runs, as by SimKernel::schedule() with a delay of zero, after a connection came in.
    // Replaces an earlier action.
    void on_accept(std::function<void(SimPeer&)> action);

    // False: connections are no longer taken; once the backlog of 128 is full connects wait. True,
    // as at first: connections that wait become peers at once.
    void set_accepting(bool accepting);
    // Refuses connects from now on, with ECONNREFUSED; connections that were not taken are reset,
    // and existing peers are not affected.
    void close();

private:
    friend class SimListenerState;
    std::unique_ptr<SimListenerState> state_;
};

// The kernel, its clock, its network and its peers. Give it to Engine's constructor.
class SimKernel {
public:
    // `seed` decides everything that `faults` leave open; print it when a test fails, and the same
    // seed repeats the run. Throws std::bad_alloc.
    explicit SimKernel(std::uint64_t seed, const Faults& faults = {});
    // After the engine's destructor. Destroys all peers and listeners.
    ~SimKernel();
    SimKernel(const SimKernel&) = delete;
    SimKernel& operator=(const SimKernel&) = delete;

    // --- Time: stands still but for waits of the engine, Faults::enter_time and advance(). ---

    // The virtual time, which Engine::now() returns as well.
    Clock::time_point now() const noexcept;
    // Lets time pass without the engine: everything due until then happens, actions included. A
    // duration of zero lets everything happen that is due now, such as reads of peers. Completions
    // wait in the ring for the engine's next turn. Not inside an action.
    void advance(std::chrono::nanoseconds duration);
    // The same up to a point of now()'s time.
    void advance_to(Clock::time_point time);

    // Runs `action` when `after` has passed. It runs at the end of the engine's enter(), which then
    // returns to the engine, so it may do what code between two turns may: peers, verbs, cancels,
    // stop. It must not throw, and not run the engine. Actions that are due at the same time run in
    // the order in which they were scheduled, each in an enter() of its own.
    void schedule(std::chrono::nanoseconds after, std::function<void()> action);

    // A step is one thing the kernel does: an SQE taken, an attempt, an arrival, a completion
    // posted, a scheduled action. Steps so far:
    std::uint64_t steps() const noexcept;
    // Runs `action` once `step` steps are done, before the next one, or at the next enter() if more
    // are done already; as by schedule(), so its submissions are taken before that next step. Run a
    // scenario once, then again with at_step(n, ...) for every n up to its steps(), so that a
    // cancel meets it at every step. An empty action only pauses: enter() returns there.
    void at_step(std::uint64_t step, std::function<void()> action);

    // --- Scripts: exact results in place of random ones. ---

    // The next attempts to send (receive) transfer at most so many bytes each and then end the
    // operation, MSG_WAITALL or not. A length of 0 is skipped. Adds to earlier scripts.
    void script_send_lengths(const std::vector<std::size_t>& lengths);
    void script_receive_lengths(const std::vector<std::size_t>& lengths);
    // After `skip` more of this kind, one fails with `error` (an errno). Sends of all opcodes count
    // as one kind, receives too. Several of a kind follow each other, each with its own skip.
    void script_error(SimCall call, int error, unsigned skip = 0);

    // --- Peers ---

    // A client that connects to a listener of the engine, on the loopback by IPv4 or else IPv6, or
    // by path ('@' first: the abstract namespace). Without a listener its state is refused. Throws
    // std::bad_alloc.
    SimPeer& connect_peer(std::uint16_t port);
    SimPeer& connect_peer(std::string_view path);
    // A server on all local addresses of both families (port 0: a free one, see
    // SimListener::port()), or on a path. Throws std::system_error with EADDRINUSE if that is
    // taken.
    SimListener& listen_peer(std::uint16_t port = 0);
    SimListener& listen_peer(std::string_view path);

    // --- For the oracle of a test ---

    // Operations that the kernel holds: taken, and not reported by their last completion. 0 when a
    // program has cleaned up.
    std::size_t pending_operations() const noexcept;
    // Descriptors of the engine's side that are open: listeners, streams, connects. 0 when a
    // program has closed all of them.
    std::size_t open_descriptors() const noexcept;
    // Bytes that this descriptor's connection took from its sender so far; 0 for an unknown one.
    std::uint64_t bytes_sent(int fd) const noexcept;
    const SimCounters& counters() const noexcept;
    // A hash of every step and completion so far: equal runs have equal fingerprints, so that a
    // test notices a program that depends on more than the seed, such as addresses or real time.
    std::uint64_t fingerprint() const noexcept;
    // Seed, time, steps and all counters that are not zero, in one line.
    std::string describe() const;
    // The pending operations, one a line.
    std::string describe_pending() const;

    // True while this thread is inside a simulated kernel, whose allocations a test that counts or
    // fails allocations should leave alone. Actions of the user do not count as inside.
    static bool running() noexcept;

private:
    friend Kernel& kernel_of(SimKernel& kernel) noexcept;

    std::unique_ptr<SimMachine> machine_;
};

}  // namespace uaio
