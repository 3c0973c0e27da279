// One random session of an HTTP server and its clients on the simulated kernel, drawn from a seed:
// requests of all shapes, cancels, deadlines, a server that drains or is destroyed, on a network
// that loses connections and splits everything into pieces. An oracle compares every client's
// result with the handler's. One thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/sim/choices.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace uaio {

class HttpRun {
public:
    explicit HttpRun(std::uint64_t seed);
    ~HttpRun();

    // Runs it; returns the failed check in a line, or nothing.
    std::string run();

    // Successful transactions.
    std::size_t successes() const noexcept { return successes_; }
    const SimCounters& counters() const noexcept { return kernel_.counters(); }

private:
    struct Transaction;
    class Streamer;

    static Faults faults_for(Choices& choices);
    std::uint64_t draw(std::uint64_t limit) { return choices_.draw(limit); }
    bool chance(unsigned per_mille) { return choices_.chance(per_mille); }
    void serve();
    void plan();
    void begin(Transaction& transaction);
    void answer_later();
    std::string judge();
    std::string judge_one(const Transaction& transaction);

    Choices choices_;
    SimKernel kernel_;
    std::optional<Engine> engine_;
    std::optional<http::Server> server_;
    std::optional<tcp::Connector> connector_;
    std::optional<http::Client> client_;
    std::vector<http::Exchange*> waiting_;  // handlers that answer later
    std::vector<std::unique_ptr<Transaction>> transactions_;
    std::size_t successes_ = 0;
    std::size_t streamers_ = 0;
    bool closes_idle_ = false;  // the server closes idle connections at once
    bool reliable_ = false;     // the network lost nothing, and the server stayed up
};

}  // namespace uaio
