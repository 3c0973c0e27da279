// The cost of a handshake for a server: one connection after another is made, sends close_notify at
// once and reads to the end of the server's data. `full` authenticates the server with its P-256
// key each time; `resumed` resumes the session of the connection before (RFC 8446 2.2), with a new
// key exchange. The client is OpenSSL on a blocking socket on the other processor; it works more
// than the server, so the server's CPU time is more telling than real time.
#include "bench/peers/tls_servers.h"
#include "bench/support/contest.h"
#include "bench/support/meter.h"
#include "bench/support/processor.h"

#include <stdexcept>
#include <string>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

enum class Kind { full, resumed };

void connect_again(std::uint16_t port, Kind kind, tls::SessionPtr& session) {
    const bool resume = kind == Kind::resumed && session;
    TlsClient client(port, resume ? session.get() : nullptr);
    if (client.resumed() != resume) throw std::runtime_error("the server did not resume");
    session = client.finish();
}

void run(benchmark::State& state, const std::string& server, Kind kind) {
    const auto process = start_tls_server(server);
    pin_to_processor(Place::other);
    tls::SessionPtr session;
    for (int warm_up = 0; warm_up < 20; ++warm_up)
        connect_again(process->port(), kind, session);
    const std::int64_t before = process->cpu_ns();
    for ([[maybe_unused]] const auto iteration : state)
        connect_again(process->port(), kind, session);
    state.counters["side_cpu_ns"] = benchmark::Counter(
        static_cast<double>(process->cpu_ns() - before), benchmark::Counter::kAvgIterations);
    pin_to_processor(Place::own);
}

}  // namespace

void add_contenders() {
    for (const char* const server : {"uaio", "nginx"}) {
        const auto with = [&](Kind kind) {
            return [=](benchmark::State& state) { run(state, server, kind); };
        };
        add("full", server, Timing::wall, with(Kind::full));
        add("resumed", server, Timing::wall, with(Kind::resumed));
    }
}

}  // namespace uaio::bench
