// What every role of the matrix plays on: a simulated kernel, an engine, peers that misbehave, and
// the oracle that finds what is left of them. For one thread.
#pragma once

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

// What a misbehaving peer may still hold for a moment behind the deadline of its cell:
// ServerOptions::linger_timeout, and tls::ContextOptions::close_timeout.
inline constexpr nanoseconds kLinger = 2s;
inline constexpr nanoseconds kCloseTls = 1s;
// Turns of the engine end at least that often, so times are known no better.
inline constexpr nanoseconds kTurn = 100ms;
// What an idle side may hold more than before, and what one connection may hold meanwhile.
inline constexpr std::int64_t kIdleMemory = 64 << 10;
inline constexpr std::int64_t kBusyMemory = 512 << 10;
// What the two buffers of one direction hold.
inline constexpr std::size_t kWindow = 64 << 10;

class Scene {
public:
    explicit Scene(const Transport& transport);
    ~Scene();
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    // Runs the engine until `done`; false when `limit` has passed.
    bool run(nanoseconds limit, const std::function<bool()>& done);
    // What can happen now happens.
    void settle();
    // Does `action` now and once in `period`, until stop_repeating().
    void repeat(nanoseconds period, std::function<void()> action);
    void stop_repeating() { ++repetition_; }

    // Time begins.
    void mark() { marked_ = kernel.now(); }
    nanoseconds elapsed() const { return kernel.now() - marked_; }

    // What is held now is what an idle side holds.
    void remember_idle();
    // What of operations, descriptors and real ones is held beyond that.
    bool is_idle() const;
    // Everything that the oracle has against what is left; empty if nothing.
    std::string leftovers() const;
    // The same for the memory of one connection while it is open, which `heard` so many bytes, and
    // said `said`.
    std::string excess(std::size_t heard) const;

    // A peer whose received bytes are not counted as memory of the side under test.
    std::unique_ptr<ScriptedPeer> adopt(SimPeer& socket, Transport::Side side, bool held = false);

    const Transport transport;
    SimKernel kernel;
    Engine engine;
    std::size_t said = 0;  // bytes of a misbehaviour
    std::string flood;     // what is sent again and again

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

// Lets the peer misbehave as `phase` says. The lead has been said; `lead` is what it was.
void misbehave(Scene& scene, ScriptedPeer& peer, const Phase& phase, Behaviour behaviour);

// The lead for a behaviour.
const std::string& lead_of(const Phase& phase, Behaviour behaviour);

// A line of what a cell did that it should not, or nothing: the time that it took.
std::string judge_time(const char* what, nanoseconds taken, nanoseconds expected,
                       nanoseconds slack);

// Calls `play` for each cell that applies, and fails the test for what that returns.
void play_all(const std::vector<Phase>& phases,
              const std::function<std::string(const Phase&, Behaviour, const Cell&)>& play);

}  // namespace uaio::matrix
