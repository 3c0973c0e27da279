// Shared parts of the write benchmarks: the memory that they write, the number of warm-up writes,
// and operations that their own callbacks submit again.
#pragma once

#include <uaio/aio.h>
#include <uaio/engine.h>

#include "bench/support/meter.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace uaio::bench {

// Returns up to 16 MiB, the same memory for every contender, valid until the program ends.
inline std::span<char> bytes_of(std::size_t size) {
    static std::vector<char> memory(std::size_t{16} << 20, 'u');
    return {memory.data(), size};
}

// Returns how many writes of `size` bytes take a new connection past small TLS records and past the
// growth of its congestion window and automatic buffers.
inline std::uint64_t warm_up(std::size_t size) {
    constexpr std::size_t kBytes = std::size_t{32} << 20;
    return std::clamp<std::uint64_t>(kBytes / size, 2, 2000);
}

// Operations of one kind; `Submit` is a void(Aio&) that submits one. Used on the engine's thread,
// and not moved while it runs.
template <class Submit>
class Resubmission {
public:
    Resubmission(Engine& engine, Submit submit) : engine_(engine), submit_(std::move(submit)) {}
    Resubmission(const Resubmission&) = delete;
    Resubmission& operator=(const Resubmission&) = delete;

    // Adds an operation on `buffers`, whose memory must outlive it. Throws if set_iov() rejects it.
    void add(std::span<const iovec> buffers) {
        aios_.push_back(std::make_unique<Aio>(engine_, [this](Aio& aio) { on_done(aio); }));
        check(aios_.back()->set_iov(buffers));
    }

    // Submits all operations, and each again when it completes, until the meter ends; then stops
    // the engine for good. Throws the error of a failed operation.
    void run(Meter& meter) {
        meter_ = &meter;
        for (const std::unique_ptr<Aio>& aio : aios_)
            submit_(*aio);
        engine_.run();
        check(error_);
    }

private:
    static void check(std::error_code error) {
        if (error) throw std::system_error(error, "a benchmark's operation");
    }

    void on_done(Aio& aio) {
        if (aio.result()) error_ = aio.result();
        if (!error_ && meter_->count()) {
            submit_(aio);
        } else {
            engine_.stop();
        }
    }

    Engine& engine_;
    Submit submit_;
    Meter* meter_ = nullptr;
    std::error_code error_;
    std::vector<std::unique_ptr<Aio>> aios_;
};

}  // namespace uaio::bench
