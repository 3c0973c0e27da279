// Shared by every role of the matrix: a simulated kernel, an engine, peers that misbehave, and the
// oracle that finds leftover resources. For one thread.
#pragma once

#include <uaio/aio.h>
#include <uaio/engine.h>
#include <uaio/sim.h>

#include "tests/matrix/behaviour.h"
#include "tests/matrix/scripted_peer.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace uaio::matrix {

using namespace std::chrono_literals;

// How long the resources of a misbehaving peer may outlast the deadline of its cell:
// ServerOptions::linger_timeout, and tls::ContextOptions::close_timeout.
inline constexpr nanoseconds kLinger = 2s;
inline constexpr nanoseconds kCloseTls = 1s;
// The longest turn of the engine, and so the precision of all times.
inline constexpr nanoseconds kTurn = 100ms;
// Allowed growth of memory when idle, and for one connection, with its Aios, while it is open.
inline constexpr std::int64_t kIdleMemory = 64 << 10;
inline constexpr std::int64_t kBusyMemory = (512 << 10) + 8 * std::int64_t{sizeof(Aio)};
// The capacity of the two buffers of one direction.
inline constexpr std::size_t kWindow = 64 << 10;

// Words of many cells (behaviour.h): an end without a wait, and why a behaviour does not apply.
inline constexpr nanoseconds kNow = 0s;
inline constexpr const char* kNoLength = "this phase has no length to announce";
inline constexpr const char* kSameAsStop = "the peer does not read on: see stop reading";

class Scene {
public:
    explicit Scene(const Transport& transport);
    ~Scene();
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    // Runs the engine until `done`; false after `limit`.
    bool run(nanoseconds limit, const std::function<bool()>& done);
    // Runs everything that is ready.
    void settle();
    // Calls `action` now and once in `period`, until stop_repeating().
    void repeat(nanoseconds period, std::function<void()> action);
    void stop_repeating() { ++repetition_; }

    // Starts the clock of elapsed().
    void mark() { marked_ = kernel.now(); }
    nanoseconds elapsed() const { return kernel.now() - marked_; }

    // Takes the current resources as those of an idle side.
    void remember_idle();
    // True if no operations, descriptors or real descriptors are held beyond that.
    bool is_idle() const;
    // The oracle's findings about leftover resources; empty if none.
    std::string leftovers() const;
    // The same for the memory of one open connection that received `received` bytes and sent
    // `sent`.
    std::string excess(std::size_t received) const;

    // A peer whose received bytes are not counted as memory of the side under test.
    std::unique_ptr<ScriptedPeer> adopt(SimPeer& socket, Transport::Side side, bool held = false);

    const Transport transport;
    SimKernel kernel;
    Engine engine;
    std::size_t sent = 0;  // bytes sent in a misbehaviour
    std::string flood;     // sent repeatedly

private:
    struct EngineObject {
        std::size_t operations = 0;
        std::size_t descriptors = 0;
        std::size_t real_descriptors = 0;
        std::uint64_t in_flight = 0;
        std::int64_t bytes = 0;
    };
    EngineObject held() const;
    std::int64_t bytes() const;

    EngineObject idle_;
    std::int64_t peak_ = 0;
    Clock::time_point marked_{};
    std::vector<SimPeer*> sockets_;
    unsigned repetition_ = 0;
};

// Makes the peer misbehave as in `phase`, after the lead.
void misbehave(Scene& scene, ScriptedPeer& peer, const Phase& phase, Behaviour behaviour);

// The lead for a behaviour.
const std::string& lead_of(const Phase& phase, Behaviour behaviour);

// A line about a duration outside its limits, or nothing.
std::string judge_time(const char* what, nanoseconds taken, nanoseconds expected,
                       nanoseconds slack);

// Calls `play` for each cell that applies, and fails the test if it returns text.
void play_all(const std::vector<Phase>& phases,
              const std::function<std::string(const Phase&, Behaviour, const Cell&)>& play);

}  // namespace uaio::matrix
