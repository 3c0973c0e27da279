#include "transport/proxy/prefixed_stream.h"

#include <uaio/provider.h>

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/half_close.h"
#include "transport/stream/try_io.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

namespace uaio::proxy {
namespace {

// The state that pending reads use, since the stream may be destroyed before they start. Freed by
// the last of its users: the stream, and reads between their verb and their start.
class Prefix {
public:
    // REQUIRES: not empty.
    Prefix(Engine& engine, std::string first) : engine_(engine), bytes_(std::move(first)) {
        DCHECK(!bytes_.empty());
    }

    void own(StreamPtr&& lower) noexcept { lower_ = std::move(lower); }
    Stream& lower() const noexcept { return *lower_; }
    // Every byte was read: any thread may use the stream below directly.
    bool is_used_up() const noexcept { return used_up_.load(std::memory_order_acquire); }

    void close() noexcept {
        closed_.store(true, std::memory_order_relaxed);
        lower_->close();
    }

    void read(Aio& aio, Starter starter) noexcept {
        users_.fetch_add(1, std::memory_order_relaxed);
        if (!Provider::submit(engine_, aio, starter, this)) drop();
    }
    bool is_of(const Aio& aio) const noexcept { return &aio.engine() == &engine_; }

    TryIo* try_io() noexcept { return try_io_of(*lower_); }
    // Copies as many bytes as fit.
    std::size_t give(std::span<std::byte> room) noexcept {
        if (is_used_up()) return 0;
        DCHECK(is_here() && at_ < bytes_.size());
        const std::size_t size = std::min(room.size(), bytes_.size() - at_);
        std::memcpy(room.data(), bytes_.data() + at_, size);
        at_ += size;
        if (at_ == bytes_.size()) use_up();
        return size;
    }

    std::string take() noexcept {
        if (is_used_up()) return {};
        DCHECK(is_here() && users_.load(std::memory_order_relaxed) == 1);  // no read is under way
        bytes_.erase(0, at_);
        used_up_.store(true, std::memory_order_release);
        return std::move(bytes_);
    }

    void drop() noexcept {
        const unsigned users = users_.fetch_sub(1, std::memory_order_acq_rel);
        DCHECK(users > 0);
        if (users == 1) delete this;
    }

    template <bool kAll>
    static void start(Aio& aio) noexcept {
        Prefix& self = *static_cast<Prefix*>(Provider::owner(aio));
        if (!self.start_here(aio, kAll)) {
            Provider::forward(aio,
                              [&] { kAll ? self.lower().read_all(aio) : self.lower().read(aio); });
        }
        self.drop();
    }

private:
    ~Prefix() = default;
    bool is_here() const noexcept { return EngineCore::of(engine_).on_thread(); }

    // False if the stream below has to read.
    bool start_here(Aio& aio, bool all) noexcept {
        if (is_used_up()) return false;
        const Admission admission = admit(aio, closed_.load(std::memory_order_relaxed));
        if (admission.refused != Errc{}) {
            Provider::finish(aio, admission.refused);
            return true;
        }
        std::size_t wanted = admission.bytes;
        while (wanted > 0 && at_ < bytes_.size()) {
            const iovec& entry = Provider::cursor(aio).rest().front();
            const std::size_t size = std::min(entry.iov_len, bytes_.size() - at_);
            if (size > 0) std::memcpy(entry.iov_base, bytes_.data() + at_, size);
            Provider::advance(aio, size);
            at_ += size;
            wanted -= size;
        }
        DCHECK(aio.count() + wanted == admission.bytes && at_ <= bytes_.size());
        if (at_ == bytes_.size()) use_up();
        if (all && wanted > 0) return false;
        Provider::finish(aio);
        return true;
    }

    void use_up() noexcept {
        bytes_ = std::string();
        used_up_.store(true, std::memory_order_release);
    }

    Engine& engine_;
    StreamPtr lower_;
    std::string bytes_;
    std::size_t at_ = 0;
    std::atomic<unsigned> users_{1};
    std::atomic<bool> used_up_{false};
    std::atomic<bool> closed_{false};
};

class PrefixedStream final : public Stream, public TryIo, public HalfClose {
public:
    explicit PrefixedStream(Prefix& prefix) noexcept : prefix_(prefix) {}
    ~PrefixedStream() override {
        prefix_.close();
        prefix_.drop();
    }

    void read(Aio& aio) override {
        goes_below(aio) ? lower().read(aio) : prefix_.read(aio, &Prefix::start<false>);
    }
    void read_all(Aio& aio) override {
        goes_below(aio) ? lower().read_all(aio) : prefix_.read(aio, &Prefix::start<true>);
    }
    void write(Aio& aio) override { lower().write(aio); }
    void write_all(Aio& aio) override { lower().write_all(aio); }
    void close() noexcept override { prefix_.close(); }
    int native_handle() const noexcept override { return prefix_.lower().native_handle(); }
    std::string take() noexcept { return prefix_.take(); }

    Transferred try_write(std::span<const std::byte> bytes) noexcept override {
        TryIo* const below = prefix_.try_io();
        return below ? below->try_write(bytes) : Transferred{Errc::not_supported};
    }
    Transferred try_read(std::span<std::byte> bytes) noexcept override {
        if (const std::size_t given = prefix_.give(bytes)) return {{}, given};
        TryIo* const below = prefix_.try_io();
        return below ? below->try_read(bytes) : Transferred{Errc::not_supported};
    }
    void wait_for(Direction direction, Aio& aio) noexcept override {
        TryIo* const below = prefix_.try_io();
        const bool first = direction == Direction::receive && !prefix_.is_used_up();
        if (below && !first) return below->wait_for(direction, aio);
        Provider::submit(
            aio.engine(), aio,
            [](Aio& started) noexcept {
                const bool possible = Provider::argument(started) != nullptr;
                Provider::finish(started, possible ? std::error_code() : Errc::not_supported);
            },
            nullptr, below);
    }
    void read_on_demand() noexcept override {
        if (TryIo* const below = prefix_.try_io()) below->read_on_demand();
    }

    void end_output() noexcept override {
        if (HalfClose* const below = half_close_of(lower())) below->end_output();
    }

private:
    Stream& lower() noexcept { return prefix_.lower(); }
    // The stream below refuses an Aio of another engine.
    bool goes_below(const Aio& aio) const noexcept {
        return prefix_.is_used_up() || !prefix_.is_of(aio);
    }

    Prefix& prefix_;
};

}  // namespace

std::string take_first(Stream& stream) noexcept {
    auto* const prefixed = dynamic_cast<PrefixedStream*>(&stream);
    return prefixed ? prefixed->take() : std::string();
}

StreamPtr prefixed(Engine& engine, StreamPtr&& lower, std::string first) {
    if (first.empty()) return std::move(lower);
    struct Drop {
        void operator()(Prefix* prefix) const noexcept { prefix->drop(); }
    };
    std::unique_ptr<Prefix, Drop> prefix(new Prefix(engine, std::move(first)));
    StreamPtr stream = std::make_unique<PrefixedStream>(*prefix);
    prefix.release()->own(std::move(lower));
    return stream;
}

}  // namespace uaio::proxy
