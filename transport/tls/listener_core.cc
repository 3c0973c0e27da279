#include "transport/tls/listener_core.h"

#include <uaio/argument_error.h>

#include "base/check.h"
#include "engine/deadline.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"
#include "transport/stream/try_io.h"

#include <algorithm>
#include <new>
#include <utility>

namespace uaio::tls {
namespace {

// Maximum age of a connection while others wait for its place: of a silent one, whose first byte
// normally arrives with the end of TCP's handshake or soon after, and of any other.
constexpr std::int64_t kSilentNs = 10'000'000;
constexpr std::int64_t kRunningNs = 1'000'000'000;

}  // namespace

// A connection before it is accepted.
struct ListenerCore::Attempt {
    explicit Attempt(ListenerCore& listener)
        : aio(listener.engine(), [this, &listener](Aio&) { listener.on_back(*this); }) {}

    Attempt* next = nullptr;
    Attempt* previous = nullptr;
    List* list = nullptr;
    std::int64_t accepted_ns = 0;
    StreamPtr stream;  // the one below until the first byte, then the TLS stream
    Aio aio;
};

void ListenerCore::List::push(Attempt& attempt) noexcept {
    DCHECK(!attempt.list);
    attempt.list = this;
    attempt.next = nullptr;
    attempt.previous = back;
    (back ? back->next : front) = &attempt;
    back = &attempt;
    ++size;
}

void ListenerCore::List::remove(Attempt& attempt) noexcept {
    DCHECK(attempt.list == this && size > 0);
    (attempt.previous ? attempt.previous->next : front) = attempt.next;
    (attempt.next ? attempt.next->previous : back) = attempt.previous;
    attempt.list = nullptr;
    --size;
}

ListenerCore::Attempt* ListenerCore::List::pop() noexcept {
    Attempt* const oldest = front;
    if (!oldest) return nullptr;
    front = oldest->next;
    (front ? front->previous : back) = nullptr;
    oldest->list = nullptr;
    --size;
    return oldest;
}

ListenerCore::ListenerCore(EngineCore& core, std::unique_ptr<Acceptor> below,
                           const Context& context, const ListenerOptions& options, Closing& closing)
    : EngineObject(core),
      closing_(closing),
      below_(std::move(below)),
      context_(context),
      options_(options) {
    inner_.emplace(engine(), [this](Aio&) { on_accepted(); });
    enroll();
}

ListenerCore::~ListenerCore() {
    DCHECK(waiting_.empty() && silent_.empty() && running_.empty());
    drop_ready();
    closing_.finish();
    closing_.drop();
}

void ListenerCore::release() noexcept {
    release_and_wait(closing_, [this] {
        if (core().thread().is_bound()) return false;
        below_->close();
        return true;
    });
}

// ---- starters

void ListenerCore::accept(Aio& aio, StreamPtr& out) noexcept {
    submit_for(*this, aio, &start_accept, &out);
}

void ListenerCore::start_accept(Aio& aio) noexcept {
    ListenerCore& self = *static_cast<ListenerCore*>(Provider::owner(aio));
    const Admission admission = admit_without_buffers(aio, self.closed_);
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    StreamPtr* const out = static_cast<StreamPtr*>(Provider::argument(aio));
    put_note(aio, out);
    self.waiting_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
    self.hand_out();
    self.accept_below();
}

void ListenerCore::on_cancel(Aio& aio) noexcept {
    ListenerCore& self = *static_cast<ListenerCore*>(Provider::owner(aio));
    self.waiting_.remove(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
}

// ---- the acceptor below

void ListenerCore::accept_below() noexcept {
    if (accepting_ || closed_ || waiting_.empty() || !make_room()) return;
    DCHECK(!accepted_);  // or a connection is lost
    accepting_ = true;
    below_->accept(*inner_, accepted_);
}

// True if one more may be accepted now. Otherwise limits the age of the oldest connection: a silent
// one, or, if all have sent a byte, one in its handshake. So neither blocks the others for a whole
// handshake_timeout, while in a burst of real clients, whose first bytes are in flight, later ones
// wait in the acceptor below.
bool ListenerCore::make_room() noexcept {
    if (connections() < std::max<std::size_t>(options_.handshakes, 1)) return true;
    if (Attempt* const oldest = silent_.front) {
        Provider::limit_deadline(oldest->aio, oldest->accepted_ns + kSilentNs);
    } else if (Attempt* const running = running_.front) {
        Provider::limit_deadline(running->aio, running->accepted_ns + kRunningNs);
    }
    return false;
}

void ListenerCore::on_accepted() noexcept {
    DCHECK(accepting_ && core().on_thread());
    accepting_ = false;
    std::error_code error = inner_->result();
    if (!error && !accepted_) error = ArgumentErrc::no_stream;
    if (error) {
        // Fails all accepts: a failed acceptor is not called again until the next accept.
        finish_all(waiting_, error);
        return destroy_if_idle();
    }
    StreamPtr stream = std::move(accepted_);
    if (closed_) return destroy_if_idle();
    begin(std::move(stream));
    accept_below();
    destroy_if_idle();
}

void ListenerCore::begin(StreamPtr stream) noexcept {
    auto* const attempt = new (std::nothrow) Attempt(*this);
    if (!attempt) return report_failure(Errc::not_enough_memory);
    attempt->accepted_ns = core().now_ns();
    attempt->aio.set_timeout(options_.handshake_timeout);
    TryIo* const try_io = try_io_of(*stream);
    // A stream that cannot report its first byte starts the handshake at once.
    if (!try_io) return shake_hands(*attempt, std::move(stream));
    silent_.push(*attempt);
    attempt->stream = std::move(stream);
    try_io->wait_for(Direction::receive, attempt->aio);
}

void ListenerCore::shake_hands(Attempt& attempt, StreamPtr stream) noexcept {
    running_.push(attempt);
    tls::accept(context_, std::move(stream), attempt.aio, attempt.stream);
}

// ---- handshakes

// Reports a failed connection. The callee may release the listener.
void ListenerCore::report_failure(std::error_code error) noexcept {
    const auto& on_failure = ContextCore::of(context_).options().on_failure;
    if (closed_ || !on_failure) return;
    reporting_ = true;
    on_failure(error);
    reporting_ = false;
}

void ListenerCore::on_back(Attempt& attempt) noexcept {
    const std::error_code error = attempt.aio.result();
    const bool shook_hands = attempt.list == &running_;
    DCHECK(shook_hands || attempt.list == &silent_);
    attempt.list->remove(attempt);
    if (!shook_hands && error) ContextCore::of(context_).count_failure();
    if (error || closed_) {
        if (error) report_failure(error);
        delete &attempt;  // allowed in its Aio's callback
    } else if (shook_hands) {
        ready_.push(attempt);
        hand_out();
    } else {
        on_first_byte(attempt);
    }
    accept_below();
    destroy_if_idle();
}

void ListenerCore::on_first_byte(Attempt& attempt) noexcept {
    // handshake_timeout counts from the accept.
    const Clock::time_point accepted{std::chrono::nanoseconds(attempt.accepted_ns)};
    attempt.aio.set_deadline(deadline_after(accepted, options_.handshake_timeout));
    shake_hands(attempt, std::move(attempt.stream));
}

void ListenerCore::hand_out() noexcept {
    while (!ready_.empty() && !waiting_.empty()) {
        const std::unique_ptr<Attempt> oldest(ready_.pop());
        DCHECK(oldest->stream && !oldest->aio.result());
        Aio& front = *waiting_.pop();
        *note_in<StreamPtr*>(front) = std::move(oldest->stream);
        Provider::finish(front, {});
    }
}

void ListenerCore::drop_ready() noexcept {
    while (Attempt* const attempt = ready_.pop())
        delete attempt;
}

void ListenerCore::cancel_all(const List& list) noexcept {
    for (Attempt* attempt = list.front; attempt; attempt = attempt->next)
        Provider::cancel(attempt->aio, Errc::closed);
}

void ListenerCore::close_here() noexcept {
    if (closed_) return;
    closed_ = true;
    below_->close();
    closing_.finish();
    finish_all(waiting_, Errc::closed);
    cancel_all(silent_);
    cancel_all(running_);
    drop_ready();
}

void ListenerCore::on_engine_destroyed(bool idle) noexcept {
    closed_ = true;
    if (idle) inner_.reset();
}

// ---- the handles

Listener::Listener(Engine& engine, std::unique_ptr<Acceptor> below, const Context& context,
                   const ListenerOptions& options) {
    EngineCore::of(engine).require_thread();
    if (!below) throw std::invalid_argument("uaio: tls::Listener: the acceptor below is null");
    if (below->engine() && below->engine() != &engine) {
        throw std::invalid_argument(
            "uaio: tls::Listener: the acceptor below belongs to another engine; create it on the "
            "listener's engine");
    }
    auto closing = std::make_unique<Closing>();
    core_ = new ListenerCore(EngineCore::of(engine), std::move(below), context, options, *closing);
    static_cast<void>(closing.release());
}

Listener::~Listener() { core_->release(); }

void Listener::accept(Aio& aio, StreamPtr& out) { core_->accept(aio, out); }

void Listener::close() noexcept { core_->close(); }

Engine* Listener::engine() const noexcept { return core_->engine_if_any(); }

AcceptorFactory acceptor(AcceptorFactory below, const Context& context,
                         const ListenerOptions& options) {
    return
        [below = std::move(below), context, options](Engine& engine) -> std::unique_ptr<Acceptor> {
            return std::make_unique<Listener>(engine, below(engine), context, options);
        };
}

}  // namespace uaio::tls
