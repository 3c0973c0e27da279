// One random session of a stream on the simulated kernel, drawn from a seed: writes and reads of
// all shapes, cancels, deadlines, closes and resets at any moment, on a kernel that uses all the
// freedom of a real one. At the end an oracle compares every Aio's result with the peer's bytes.
// One thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/sim/choices.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace uaio {

class TransferRun {
public:
    explicit TransferRun(std::uint64_t seed);
    // A session chosen by a fuzzer, with smaller iovec lists, so that it can choose many.
    explicit TransferRun(std::span<const std::uint8_t> bytes);
    ~TransferRun();

    // Runs it; returns the failed check in a line, or nothing.
    std::string run();

    // The number of operations that ended with `error`, or without one.
    std::size_t ended_with(std::error_code error) const;

    const SimCounters& counters() const noexcept { return kernel_.counters(); }
    EngineStatistics statistics() const noexcept { return engine_->statistics(); }

private:
    struct Operation {
        Operation(TransferRun& run, bool write, bool all, std::vector<std::size_t> lengths);

        TransferRun& run;
        const bool write;
        const bool all;
        std::vector<std::size_t> lengths;
        std::size_t size = 0;
        std::vector<std::unique_ptr<char[]>> buffers;  // of exact size, for bounds checks
        std::string received;                          // copied when a read ends
        unsigned callbacks = 0;
        bool submitted = false;
        bool asked_to_end = false;
        bool has_deadline = false;
        std::error_code result;
        std::size_t count = 0;
        Aio aio;
    };

    struct Size {
        std::size_t entries;  // most in a long list
        std::size_t bytes;    // most in an entry of a large one
    };

    TransferRun(Choices choices, std::uint64_t kernel_seed, Size most);

    std::uint64_t draw(std::uint64_t limit) { return choices_.draw(limit); }
    bool chance(unsigned per_mille) { return choices_.chance(per_mille); }
    static Faults faults_for(Choices& choices);

    bool connect();
    void plan();
    void plan_operation(bool write);
    void plan_disturbance();
    void submit(Operation& operation);
    void on_end(Operation& operation);
    void fill(Operation& operation);
    void finish();
    bool settled() const;

    std::string judge();
    std::string judge_one(const Operation& operation) const;
    std::string judge_writes() const;
    std::string judge_reads() const;
    std::string judge_kernel();

    Choices choices_;
    const Size most_;
    const Faults faults_;
    SimKernel kernel_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<tcp::Listener> listener_;
    std::unique_ptr<http::Connection> connection_;
    SimPeer* peer_ = nullptr;
    std::deque<std::unique_ptr<Operation>> operations_;  // in planning order
    std::vector<Operation*> written_;                    // in submission order
    std::vector<Operation*> read_;
    std::string sent_by_peer_;
    std::uint64_t pattern_ = 0;  // bytes of the write direction handed out so far
    std::size_t planned_ = 0;    // actions still to come
    bool closed_here_ = false;
    bool disturbed_ = false;  // the peer closed or reset, or the network may do so
};

}  // namespace uaio
