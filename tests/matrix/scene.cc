#include "tests/matrix/scene.h"

#include "tests/support/allocations.h"
#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"

#include <algorithm>
#include <sstream>

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

// The speed of a flood, so that time passes while it is read.
constexpr std::size_t kFlood = 64 << 10;

Faults small_buffers() {
    Faults faults;
    faults.window = kWindow;
    return faults;
}

EngineOptions silent() {
    EngineOptions options;
    options.log = [](LogLevel, std::string_view) {};
    return options;
}

}  // namespace

Scene::Scene(const Transport& own_transport)
    : transport(own_transport), kernel(1, small_buffers()), engine(kernel, silent()) {
    flood.reserve(2 * kFlood);
}

Scene::~Scene() { stop_repeating(); }

bool Scene::run(nanoseconds limit, const std::function<bool()>& done) {
    const Clock::time_point end = kernel.now() + limit;
    while (!done()) {
        if (kernel.now() >= end) return false;
        engine.run_once(std::min<nanoseconds>(kTurn, end - kernel.now()));
        peak_ = std::max(peak_, bytes());
    }
    return true;
}

void Scene::settle() {
    for (int turn = 0; turn < 10; ++turn)
        engine.run_once(0ns);
    peak_ = std::max(peak_, bytes());
}

void Scene::repeat(nanoseconds period, std::function<void()> action) {
    action();
    kernel.schedule(period, [this, period, action, mine = repetition_] {
        if (mine == repetition_) repeat(period, action);
    });
}

std::int64_t Scene::bytes() const {
    std::size_t of_peers = 0;
    for (const SimPeer* socket : sockets_)
        of_peers += socket->received().capacity() + socket->unsent();
    return live_bytes() - static_cast<std::int64_t>(of_peers);
}

Scene::EngineObject Scene::held() const {
    return {.operations = kernel.pending_operations(),
            .descriptors = kernel.open_descriptors(),
            .real_descriptors = uaio::open_descriptors(),
            .in_flight = engine.statistics().in_flight,
            .bytes = bytes()};
}

void Scene::remember_idle() {
    idle_ = held();
    peak_ = 0;
}

bool Scene::is_idle() const {
    return kernel.pending_operations() <= idle_.operations &&
           kernel.open_descriptors() <= idle_.descriptors &&
           engine.statistics().in_flight <= idle_.in_flight;
}

std::string Scene::leftovers() const {
    const EngineObject now = held();
    std::ostringstream out;
    if (now.operations > idle_.operations) {
        out << "operations are left: " << kernel.describe_pending() << "; ";
    }
    if (now.descriptors > idle_.descriptors) {
        out << now.descriptors - idle_.descriptors << " sockets are left; ";
    }
    if (now.real_descriptors > idle_.real_descriptors) {
        out << now.real_descriptors - idle_.real_descriptors << " descriptors are left; ";
    }
    if (now.in_flight > idle_.in_flight) {
        out << now.in_flight - idle_.in_flight << " Aios are in flight; ";
    }
    if (allocations_are_counted() && now.bytes - idle_.bytes > kIdleMemory) {
        out << now.bytes - idle_.bytes << " bytes of memory are left; ";
    }
    return out.str();
}

std::string Scene::excess(std::size_t received) const {
    const auto moved = static_cast<std::int64_t>(sent + received);
    const std::int64_t most = peak_ - idle_.bytes;
    if (!allocations_are_counted() || most <= kBusyMemory + 4 * moved) return {};
    return "one connection held " + std::to_string(most) + " bytes for " + std::to_string(moved) +
           " that were moved; ";
}

std::unique_ptr<ScriptedPeer> Scene::adopt(SimPeer& socket, Transport::Side side, bool held) {
    sockets_.push_back(&socket);
    return transport.peer(socket, side, held);
}

const std::string& lead_of(const Phase& phase, Behaviour behaviour) {
    if (behaviour == Behaviour::announce) return phase.announces;
    const bool other = behaviour == Behaviour::garbage || behaviour == Behaviour::flood;
    return other && !phase.garbage_lead.empty() ? phase.garbage_lead : phase.lead;
}

void misbehave(Scene& scene, ScriptedPeer& peer, const Phase& phase, Behaviour behaviour) {
    SimPeer& socket = peer.socket();
    const bool reading = phase.reads != std::string::npos;
    const auto send = [&scene, &socket, &peer, raw = phase.raw](std::string_view text) {
        scene.sent += text.size();
        raw ? socket.send(text) : peer.send(text);
    };
    switch (behaviour) {
        case Behaviour::stall:
        case Behaviour::announce: break;
        case Behaviour::stop_reading: socket.read_nothing(); break;
        case Behaviour::reset: socket.reset(); break;
        case Behaviour::cut: socket.close(); break;
        case Behaviour::half_close:
            peer.shutdown_write();
            socket.set_window(kWindow);
            socket.read_everything();
            break;
        case Behaviour::garbage:
        case Behaviour::extra: send(phase.garbage); break;
        case Behaviour::drip:
            scene.repeat(1s, [&socket, send, &phase, reading, at = std::size_t{0}]() mutable {
                if (reading) return socket.read_more(1);
                send(phase.drips.substr(at++ % phase.drips.size(), 1));
            });
            break;
        case Behaviour::flood:
            socket.read_nothing();
            while (scene.flood.size() < kFlood)
                scene.flood += phase.floods;
            scene.repeat(kTurn, [&scene, &socket, send] {
                if (socket.unsent() == 0) send(scene.flood);
            });
            break;
    }
}

std::string judge_time(const char* what, nanoseconds taken, nanoseconds expected,
                       nanoseconds slack) {
    if (taken >= expected - kTurn && taken <= expected + slack + 2 * kTurn) return {};
    std::ostringstream out;
    out << what << " took " << std::chrono::duration<double>(taken).count() << " s in place of "
        << std::chrono::duration<double>(expected).count() << " s; ";
    return out.str();
}

void play_all(const std::vector<Phase>& phases,
              const std::function<std::string(const Phase&, Behaviour, const Cell&)>& play) {
    int played = 0;
    for (const Phase& phase : phases) {
        for (std::size_t i = 0; i < kBehaviours; ++i) {
            const Cell& cell = phase.cells[i];
            if (cell.not_applicable) continue;
            ++played;
            const auto behaviour = static_cast<Behaviour>(i);
            const std::string where = std::string(phase.name) + ", " + name_of(behaviour) + ": ";
            CHECK(where + play(phase, behaviour, cell) == where);
        }
    }
    CHECK(played > 0);
}

}  // namespace uaio::matrix
