// The engine's side of an easy::Connection: the connect under way, its stream, and attempts of
// other threads. Members are for the engine's thread unless noted.
#pragma once

#include <uaio/easy.h>
#include <uaio/provider.h>
#include <uaio/tls_context.h>

#include "transport/stream/engine_object.h"
#include "transport/stream/try_io.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

namespace uaio::easy {

class ConnectionCore final : public EngineObject {
public:
    // Any thread.
    explicit ConnectionCore(Engine& engine) noexcept : EngineObject(EngineCore::of(engine)) {
        enroll();
    }

    // --- Any thread: the functions of Connection ---
    void connect(std::string_view url, const Options& options, Aio& aio) noexcept;
    // Runs a verb of the stream.
    template <void (Stream::*kVerb)(Aio&)>
    void run(Aio& aio) noexcept {
        submit(aio, &start<kVerb>);
    }
    void wait_for(Direction direction, Aio& aio) noexcept;
    Transferred try_send(std::span<const std::byte> bytes) noexcept;
    Transferred try_receive(std::span<std::byte> bytes) noexcept;
    void close_connection() noexcept;
    int native_handle() const noexcept;
    bool is_connected() const noexcept;
    const DialReport& report() const noexcept { return report_; }

    // Engine shutdown finds a connect under way by its parked Aio.
    void begin_shutdown() noexcept override {
        if (stream_) stream_->close();
    }

private:
    struct Dial;
    struct ForwardedCall;

    void close_here() noexcept override;
    bool finished() const noexcept override { return !stream_ && !dial_; }
    bool busy() const noexcept override { return users_.load(std::memory_order_acquire) > 0; }
    void on_engine_destroyed(bool) noexcept override {}

    static ConnectionCore& of(Aio& aio) noexcept {
        return *static_cast<ConnectionCore*>(Provider::owner(aio));
    }
    bool submit(Aio& aio, Starter starter, void* argument = nullptr) noexcept;
    void drop_user() noexcept;
    template <void (Stream::*kVerb)(Aio&)>
    static void start(Aio& aio) noexcept;
    template <Direction kDirection>
    static void start_wait(Aio& aio) noexcept;
    template <class Verb>
    void forward(Aio& aio, Verb verb) noexcept;
    static void start_connect(Aio& aio) noexcept;
    void begin(Dial& dial, Aio& aio) noexcept;
    void abandon_dial() noexcept;
    void set_stream(StreamPtr stream) noexcept;
    Transferred send_here(std::span<const std::byte> bytes) noexcept;
    Transferred receive_here(std::span<std::byte> bytes) noexcept;
    Transferred call_there(ForwardedCall* call) noexcept;
    // Adds the resolver and TLS context that connects share, where the options have none. Any
    // thread; throws what tls::Context() throws.
    Options completed(std::string_view url, const Options& options);

    std::mutex shared_mutex_;  // protects the two below; connects of any thread use them
    std::unique_ptr<Resolver> resolver_;
    std::optional<tls::Context> tls_context_;

    mutable std::mutex stream_mutex_;  // for other threads, which only read
    StreamPtr stream_;
    TryIo* try_io_ = nullptr;  // of stream_
    Dial* dial_ = nullptr;     // under way
    DialReport report_;
    // Verbs between call and start, connects, and forwarded calls: each keeps this object alive.
    std::atomic<unsigned> users_{0};
};

}  // namespace uaio::easy
