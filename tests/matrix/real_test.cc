// The cells of http::Server whose result does not depend on time, over real sockets, where the
// kernel decides what a peer receives. Deadlines are short where a cell ends by one, and unchanged
// where it does not; durations are not checked.
#include "tests/matrix/server_scene.h"
#include "tests/support/allocations.h"
#include "tests/support/server_fixture.h"

#include <poll.h>

#include <string>

#include <doctest/doctest.h>

namespace uaio::matrix::real_test {

http::ServerOptions options_for(const Cell& cell) {
    http::ServerOptions options;
    if (cell.ends == 0s) return options;
    options.head_timeout = options.content_timeout = options.send_timeout = 30ms;
    options.idle_timeout = 300ms;
    return options;
}

// Phases without waiting handlers, and without bytes that must stop at an exact place.
bool is_real(const Phase& phase) {
    const std::string_view name = phase.name;
    return phase.reads == std::string::npos && !name.starts_with("between") &&
           name.find("streamed") == std::string_view::npos;
}

// Whether the peer detects, without reading, that the connection has ended.
bool is_over(const RawPeer& peer, bool reset) {
    pollfd entry{peer.fd(), POLLRDHUP, 0};
    if (::poll(&entry, 1, 0) != 1) return false;
    return (entry.revents & (POLLERR | POLLHUP | (reset ? 0 : POLLRDHUP))) != 0;
}

class RealScene {
public:
    RealScene(KernelKind kind, const Cell& cell) : fixture_(kind, options_for(cell)) {
        const auto small = [](http::Exchange& exchange) {
            exchange.respond(std::string(kSmall, 's'));
        };
        fixture_.server().handle("GET", "/small", small);
        fixture_.server().handle("POST", "/collect", small);
        fixture_.server().handle("POST", "/early", small).stream_content();
        fixture_.listen();
        static_cast<void>(fixture_.get("/small"));
        REQUIRE(fixture_.run_until([this] { return fixture_.server().connections() == 0; }));
    }

    std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
        const std::size_t descriptors = open_descriptors();
        const std::int64_t bytes = live_bytes();
        std::string fault;
        {
            RawPeer peer = fixture_.connect();
            const std::string lead = lead_of(phase, behaviour);
            if (!lead.empty()) peer.send(lead);
            if (phase.answered) {
                REQUIRE(fixture_.run_until([&] {
                    peer.read_some();
                    return last_status(peer.received()) != 0;
                }));
            }
            begin(peer, phase, behaviour);
            const bool ended = fixture_.run_until([&] {
                go_on(peer, phase, behaviour);
                return fixture_.server().connections() == 0 && (closed_ || is_over(peer, floods_));
            });
            if (!ended) fault += "the connection stays open; ";
            if (!closed_) peer.read_some();
            const int status = last_status(peer.received());
            if (!floods_ && status != cell.status) {
                fault += "status " + std::to_string(status) + " in place of " +
                         std::to_string(cell.status) + "; ";
            }
            if (fixture_.get("/small").find("HTTP/1.1 200") != 0) fault += "no later answer; ";
        }
        static_cast<void>(fixture_.run_until([&] { return open_descriptors() <= descriptors; }));
        if (open_descriptors() > descriptors) fault += "descriptors are left; ";
        if (allocations_are_counted() && live_bytes() - bytes > kKept) fault += "memory is left; ";
        return fault;
    }

private:
    // Includes the buffers of RawPeer and of the test.
    static constexpr std::int64_t kKept = kIdleMemory + (512 << 10);

    void begin(RawPeer& peer, const Phase& phase, Behaviour behaviour) {
        switch (behaviour) {
            case Behaviour::reset:
            case Behaviour::cut:
                closed_ = true;
                return behaviour == Behaviour::reset ? peer.reset() : peer.close();
            case Behaviour::half_close: return peer.shutdown_write();
            case Behaviour::garbage:
            case Behaviour::extra: peer.send(phase.garbage); return;
            case Behaviour::flood: floods_ = true; return;
            default: return;
        }
    }

    // Once a turn.
    void go_on(RawPeer& peer, const Phase& phase, Behaviour behaviour) {
        if (floods_) {
            std::string text;
            while (text.size() < 16384)
                text += phase.floods;
            static_cast<void>(peer.send_some(text));
        } else if (behaviour == Behaviour::drip) {
            static_cast<void>(peer.send_some("x"));
        }
        if (!closed_ && !floods_) peer.read_some();
    }

    ServerFixture fixture_;
    bool closed_ = false;
    bool floods_ = false;
};

TEST_CASE_TEMPLATE("http::Server ends every misbehaviour of a client over real sockets", Kernel,
                   OnLinux, OnPoll) {
    std::vector<Phase> phases;
    for (const Phase& phase : server_phases()) {
        if (is_real(phase)) phases.push_back(phase);
    }
    CHECK(phases.size() > 5);
    play_all(phases, [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return RealScene(Kernel::kKind, cell).play(phase, behaviour, cell);
    });
}

}  // namespace uaio::matrix::real_test
