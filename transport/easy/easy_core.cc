#include "transport/easy/easy_core.h"

#include <uaio/provider.h>

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"
#include "transport/stream/starters.h"

#include <strings.h>

#include <chrono>
#include <condition_variable>
#include <new>
#include <utility>

namespace uaio::easy {
namespace {

// How long a forwarded call waits for the engine's thread.
constexpr std::chrono::milliseconds kCallTimeout{100};

bool is_secure(std::string_view url) noexcept {
    const std::string_view scheme = url.substr(0, url.find("://"));
    for (const std::string_view each : {"https", "wss", "tls"}) {
        if (scheme.size() == each.size() &&
            ::strncasecmp(scheme.data(), each.data(), each.size()) == 0) {
            return true;
        }
    }
    return false;
}

void finish_not_connected(Aio& aio) noexcept {
    Provider::finish(aio, Provider::stopped(aio) ? Errc::canceled : Errc::not_connected);
}

}  // namespace

// ---- a connect

// Freed by its own Aio's callback.
struct ConnectionCore::Dial {
    Dial(ConnectionCore& core, std::string_view url, const Options& options)
        : owner(core), inner(core.engine(), [this](Aio&) { on_end(); }) {
        try {
            dialer.emplace(url, core.completed(url, options));
        } catch (const std::system_error& failure) {
            refused = failure.code();
        }
    }

    static void on_cancel(Aio& aio) noexcept {
        Dial& self = *note_in<Dial*>(aio);
        Provider::cancel(self.inner, Provider::cancel_reason(aio));
    }
    void on_end() noexcept;

    ConnectionCore& owner;
    std::optional<Dialer> dialer;
    std::error_code refused;  // why there is no dialer
    StreamPtr stream;
    DialReport report;
    Aio* user = nullptr;
    bool abandoned = false;  // another connect, or a close, came before its end
    Aio inner;
};

void ConnectionCore::Dial::on_end() noexcept {
    const std::unique_ptr<Dial> freed(this);
    DCHECK(owner.core().on_thread() && (owner.dial_ == this) == !abandoned);
    std::error_code error = inner.result();
    DCHECK(!error == (stream != nullptr));
    if (!error) error = Provider::cancel_reason(*user);
    if (abandoned) {
        error = Errc::closed;
    } else {
        owner.dial_ = nullptr;
        owner.report_ = report;
    }
    if (error) {
        stream.reset();
    } else {
        owner.set_stream(std::move(stream));
    }
    Provider::finish(*user, error);
    owner.drop_user();
}

Options ConnectionCore::completed(std::string_view url, const Options& options) {
    Options result = options;
    const std::lock_guard lock(shared_mutex_);
    if (!result.resolver) {
        if (!resolver_) resolver_ = std::make_unique<Resolver>();
        result.resolver = resolver_.get();
    }
    if (is_secure(url) && !result.tls_context && !result.start_tls) {
        if (!tls_context_) tls_context_.emplace();
        result.tls_context = tls_context_;
    }
    return result;
}

void ConnectionCore::connect(std::string_view url, const Options& options, Aio& aio) noexcept {
    if (is_engine_gone()) return refuse_without_engine(aio);
    Dial* dial = nullptr;
    try {
        dial = new Dial(*this, url, options);
    } catch (const std::bad_alloc&) {
        return refuse<Errc::not_enough_memory>(engine(), aio);
    }
    if (!submit(aio, &start_connect, dial)) delete dial;
}

void ConnectionCore::start_connect(Aio& aio) noexcept {
    ConnectionCore& self = of(aio);
    std::unique_ptr<Dial> dial(static_cast<Dial*>(Provider::argument(aio)));
    const Admission admission = admit_without_buffers(aio, self.is_released());
    if (admission.refused != Errc{} || dial->refused) {
        Provider::finish(aio, dial->refused ? dial->refused : admission.refused);
    } else {
        self.begin(*dial.release(), aio);
    }
    self.drop_user();
}

void ConnectionCore::begin(Dial& dial, Aio& aio) noexcept {
    DCHECK(dial.dialer && !dial.refused);
    close_here();
    users_.fetch_add(1, std::memory_order_relaxed);
    dial_ = &dial;
    dial.user = &aio;
    put_note(aio, &dial);
    Provider::park(aio, &Dial::on_cancel);
    dial.dialer->connect(dial.inner, dial.stream, dial.report);
}

void ConnectionCore::abandon_dial() noexcept {
    if (!dial_) return;
    Dial& dial = *std::exchange(dial_, nullptr);
    dial.abandoned = true;
    Provider::cancel(dial.inner, Errc::closed);
}

// ---- the connection

void ConnectionCore::set_stream(StreamPtr stream) noexcept {
    DCHECK(core().on_thread());  // other threads only read stream_
    try_io_ = stream ? try_io_of(*stream) : nullptr;
    if (try_io_) try_io_->read_on_demand();
    const std::lock_guard lock(stream_mutex_);
    stream_.swap(stream);
}

void ConnectionCore::close_here() noexcept {
    abandon_dial();
    set_stream(nullptr);
}

int ConnectionCore::native_handle() const noexcept {
    const std::lock_guard lock(stream_mutex_);
    return stream_ ? stream_->native_handle() : -1;
}

bool ConnectionCore::is_connected() const noexcept {
    const std::lock_guard lock(stream_mutex_);
    return stream_ != nullptr;
}

// ---- verbs

bool ConnectionCore::submit(Aio& aio, Starter starter, void* argument) noexcept {
    if (is_engine_gone()) {
        Provider::submit(aio.engine(), aio, &finish_not_connected, nullptr);
        return false;
    }
    users_.fetch_add(1, std::memory_order_relaxed);
    // The starter does not run for an Aio of another engine. An accepted Aio may be gone already.
    const bool is_ours = &aio.engine() == &engine();
    const bool accepted = Provider::submit(engine(), aio, starter, this, argument);
    const bool starts = accepted && is_ours;
    if (!starts) users_.fetch_sub(1, std::memory_order_release);
    return starts;
}

void ConnectionCore::drop_user() noexcept {
    [[maybe_unused]] const unsigned users = users_.fetch_sub(1, std::memory_order_release);
    DCHECK(users > 0);
    destroy_if_idle();  // may free this
}

template <class Verb>
void ConnectionCore::forward(Aio& aio, Verb verb) noexcept {
    if (stream_) {
        Provider::forward(aio, verb);
    } else {
        finish_not_connected(aio);
    }
    drop_user();
}

template <void (Stream::*kVerb)(Aio&)>
void ConnectionCore::start(Aio& aio) noexcept {
    ConnectionCore& self = of(aio);
    self.forward(aio, [&] { ((*self.stream_).*kVerb)(aio); });
}
template void ConnectionCore::start<&Stream::read>(Aio&) noexcept;
template void ConnectionCore::start<&Stream::read_all>(Aio&) noexcept;
template void ConnectionCore::start<&Stream::write>(Aio&) noexcept;
template void ConnectionCore::start<&Stream::write_all>(Aio&) noexcept;

template <Direction kDirection>
void ConnectionCore::start_wait(Aio& aio) noexcept {
    ConnectionCore& self = of(aio);
    if (self.stream_ && !self.try_io_) {
        Provider::finish(aio, Errc::not_supported);
        return self.drop_user();
    }
    self.forward(aio, [&] { self.try_io_->wait_for(kDirection, aio); });
}

void ConnectionCore::wait_for(Direction direction, Aio& aio) noexcept {
    submit(aio, direction == Direction::send ? &start_wait<Direction::send>
                                             : &start_wait<Direction::receive>);
}

// ---- attempts

Transferred ConnectionCore::send_here(std::span<const std::byte> bytes) noexcept {
    if (!stream_) return {Errc::not_connected};
    if (bytes.empty()) return {};
    if (!try_io_) return {Errc::not_supported};
    return try_io_->try_write(bytes);
}

Transferred ConnectionCore::receive_here(std::span<std::byte> bytes) noexcept {
    if (!stream_) return {Errc::not_connected};
    if (bytes.empty()) return {};
    if (!try_io_) return {Errc::not_supported};
    return try_io_->try_read(bytes);
}

// A call that another thread forwards to the engine's. The caller may stop waiting; the last of the
// two frees it.
struct ConnectionCore::ForwardedCall : MailboxEntry {
    enum class Kind : std::uint8_t { send, receive, close };

    ForwardedCall(ConnectionCore& core, Kind what, std::byte* data, std::size_t size) noexcept
        : owner(core), kind(what), bytes(data, size), holders(what == Kind::close ? 1 : 2) {
        deliver = [](MailboxEntry& entry) noexcept { static_cast<ForwardedCall&>(entry).run(); };
    }

    void run() noexcept {
        {
            const std::lock_guard lock(mutex);
            DCHECK(!done && owner.core().on_thread());
            if (!given_up) carry_out();
            done = true;
        }
        changed.notify_one();
        owner.drop_user();
        drop();
    }
    void carry_out() noexcept {
        switch (kind) {
            case Kind::send: result = owner.send_here(bytes); break;
            case Kind::receive: result = owner.receive_here(bytes); break;
            case Kind::close: owner.close_here(); break;
        }
    }
    void drop() noexcept {
        const unsigned left = holders.fetch_sub(1, std::memory_order_acq_rel);
        DCHECK(left > 0);
        if (left == 1) delete this;
    }

    ConnectionCore& owner;
    const Kind kind;
    const std::span<std::byte> bytes;
    std::atomic<unsigned> holders;
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    bool given_up = false;
    Transferred result;
};

Transferred ConnectionCore::call_there(ForwardedCall* call) noexcept {
    DCHECK(!core().on_thread());  // which would wait for itself
    if (!call) return {Errc::not_enough_memory};
    users_.fetch_add(1, std::memory_order_relaxed);
    core().post(*call);
    Transferred result{Errc::operation_would_block};
    {
        std::unique_lock lock(call->mutex);
        if (call->changed.wait_for(lock, kCallTimeout, [&] { return call->done; })) {
            result = call->result;
        } else {
            call->given_up = true;
        }
    }
    call->drop();
    return result;
}

Transferred ConnectionCore::try_send(std::span<const std::byte> bytes) noexcept {
    if (is_engine_gone()) return {Errc::not_connected};
    if (core().on_thread()) [[likely]]
        return send_here(bytes);
    if (core().is_over()) return {Errc::engine_lost};
    if (!is_connected()) return {Errc::not_connected};
    // send_here() only reads it.
    auto* const data = const_cast<std::byte*>(bytes.data());
    return call_there(new (std::nothrow)
                          ForwardedCall(*this, ForwardedCall::Kind::send, data, bytes.size()));
}

Transferred ConnectionCore::try_receive(std::span<std::byte> bytes) noexcept {
    if (is_engine_gone()) return {Errc::not_connected};
    if (core().on_thread()) [[likely]]
        return receive_here(bytes);
    if (core().is_over()) return {Errc::engine_lost};
    if (!is_connected()) return {Errc::not_connected};
    return call_there(new (std::nothrow) ForwardedCall(*this, ForwardedCall::Kind::receive,
                                                       bytes.data(), bytes.size()));
}

void ConnectionCore::close_connection() noexcept {
    const Arrival arrival(*this);
    if (!arrival) return;
    if (core().on_thread()) return close_here();
    if (core().is_over()) return close();
    auto* const call =
        new (std::nothrow) ForwardedCall(*this, ForwardedCall::Kind::close, nullptr, 0);
    if (!call) return close();  // needs no memory, but works only once
    users_.fetch_add(1, std::memory_order_relaxed);
    core().post(*call);
}

}  // namespace uaio::easy
