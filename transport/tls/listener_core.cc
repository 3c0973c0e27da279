#include "transport/tls/listener_core.h"

#include "transport/admit.h"

#include <new>
#include <utility>

namespace uaio::tls {
namespace {

// Where the stream goes; kept in the Aio.
StreamPtr& out_of(Aio& aio) noexcept {
    return **std::launder(reinterpret_cast<StreamPtr**>(EngineCore::scratch(aio).data()));
}

}  // namespace

// A handshake, and then the stream that it made.
struct ListenerCore::Attempt {
    explicit Attempt(ListenerCore& listener)
        : aio(listener.engine(), [this, &listener](Aio&) { listener.on_handshake(*this); }) {}

    Attempt* next = nullptr;
    Attempt* previous = nullptr;
    StreamPtr stream;
    Aio aio;
};

ListenerCore::ListenerCore(EngineCore& core, std::unique_ptr<Acceptor> below,
                           const Context& context, const ListenerOptions& options, Closing& closing)
    : Held(core),
      closing_(closing),
      below_(std::move(below)),
      context_(context),
      options_(options) {
    inner_.emplace(engine(), [this](Aio&) { on_accepted(); });
}

ListenerCore::~ListenerCore() {
    drop_ready();
    closing_.finish();
    closing_.drop();
}

void ListenerCore::add(Attempt*& list, Attempt& attempt) noexcept {
    attempt.previous = nullptr;
    attempt.next = list;
    if (list) list->previous = &attempt;
    list = &attempt;
    ++connections_;
}

void ListenerCore::take(Attempt& attempt) noexcept {
    (attempt.previous ? attempt.previous->next : attempts_) = attempt.next;
    if (attempt.next) attempt.next->previous = attempt.previous;
    --connections_;
}

void ListenerCore::release() noexcept {
    Closing& closing = closing_;  // this may be gone soon
    EngineCore& engine_core = core();
    const bool engine_gone = is_engine_gone();
    const bool here = !engine_gone && engine_core.on_thread();
    const bool elsewhere = !engine_gone && !here && engine_core.is_bound();
    if (here) close_here();  // Held::release() may have to wait for mail
    if (!engine_gone && !here && !elsewhere) below_->close();
    Held::release();
    if (elsewhere) closing.wait(engine_core);
    closing.drop();
}

// ---- from the verbs

void ListenerCore::accept(Aio& aio, StreamPtr& out) noexcept {
    EngineCore::submit(engine(), aio, &start_accept, this, &out);
}

void ListenerCore::start_accept(Aio& aio) noexcept {
    ListenerCore& self = *static_cast<ListenerCore*>(EngineCore::owner(aio));
    const Admission admission = admit_without_vector(aio, self.closed_);
    if (admission.refused != Errc{}) return self.core().finish(aio, admission.refused);
    StreamPtr* const out = static_cast<StreamPtr*>(EngineCore::argument(aio));
    ::new (static_cast<void*>(EngineCore::scratch(aio).data())) StreamPtr*(out);
    self.waiting_.push(aio);
    self.core().park(aio, &on_cancel);
    self.hand_out();
    self.accept_below();
}

void ListenerCore::on_cancel(Aio& aio) noexcept {
    ListenerCore& self = *static_cast<ListenerCore*>(EngineCore::owner(aio));
    self.waiting_.remove(aio);
    self.core().finish(aio, EngineCore::cancel_reason(aio));
}

// ---- down

void ListenerCore::accept_below() noexcept {
    if (accepting_ || closed_ || waiting_.empty() || connections_ >= options_.handshakes) return;
    accepting_ = true;
    below_->accept(*inner_, accepted_);
}

void ListenerCore::on_accepted() noexcept {
    accepting_ = false;
    if (const std::error_code error = inner_->result()) {
        // All of them, since nothing is asked again of an acceptor that has failed until somebody
        // comes back.
        while (Aio* const front = waiting_.pop())
            core().finish(*front, error);
        return let_go();
    }
    StreamPtr stream = std::move(accepted_);
    if (closed_) return let_go();
    if (auto* const attempt = new (std::nothrow) Attempt(*this)) {
        add(attempts_, *attempt);
        attempt->aio.set_timeout(options_.handshake_timeout);
        tls::accept(context_, std::move(stream), attempt->aio, attempt->stream);
    } else {
        tell(Errc::not_enough_memory);
    }
    accept_below();
    let_go();
}

// ---- up

// Of a connection that nobody accepts. The callee may let go of the listener.
void ListenerCore::tell(std::error_code error) noexcept {
    const auto& on_failure = ContextCore::of(context_).options().on_failure;
    if (closed_ || !on_failure) return;
    telling_ = true;
    on_failure(error);
    telling_ = false;
}

void ListenerCore::on_handshake(Attempt& attempt) noexcept {
    take(attempt);
    const std::error_code error = attempt.aio.result();
    if (error || closed_) {
        if (error) tell(error);
        delete &attempt;  // in the callback of its Aio, which may destroy it
        accept_below();
        return let_go();
    }
    add(ready_, attempt);
    hand_out();
    accept_below();
}

// The one that has waited longest is at the end; there is hardly ever more than one.
void ListenerCore::hand_out() noexcept {
    while (ready_ && !waiting_.empty()) {
        Attempt** last = &ready_;
        while ((*last)->next)
            last = &(*last)->next;
        Attempt* const oldest = std::exchange(*last, nullptr);
        --connections_;
        Aio& front = *waiting_.pop();
        out_of(front) = std::move(oldest->stream);
        core().finish(front, {});
        delete oldest;
    }
}

void ListenerCore::drop_ready() noexcept {
    while (Attempt* const attempt = ready_) {
        ready_ = attempt->next;
        --connections_;
        delete attempt;
    }
}

void ListenerCore::close_here() noexcept {
    if (closed_) return;
    closed_ = true;
    below_->close();
    closing_.finish();
    while (Aio* const front = waiting_.pop())
        core().finish(*front, Errc::closed);
    for (Attempt* attempt = attempts_; attempt; attempt = attempt->next)
        core().cancel_here(attempt->aio, Errc::closed);
    drop_ready();
}

void ListenerCore::forget(bool idle) noexcept {
    closed_ = true;
    if (idle) inner_.reset();
}

// ---- the handles

Listener::Listener(Engine& engine, std::unique_ptr<Acceptor> below, const Context& context,
                   const ListenerOptions& options) {
    auto closing = std::make_unique<Closing>();
    core_ = new ListenerCore(EngineCore::of(engine), std::move(below), context, options, *closing);
    static_cast<void>(closing.release());
}

Listener::~Listener() { core_->release(); }

void Listener::accept(Aio& aio, StreamPtr& out) { core_->accept(aio, out); }

void Listener::close() noexcept { core_->close(); }

AcceptorFactory acceptor(AcceptorFactory below, const Context& context,
                         const ListenerOptions& options) {
    return
        [below = std::move(below), context, options](Engine& engine) -> std::unique_ptr<Acceptor> {
            return std::make_unique<Listener>(engine, below(engine), context, options);
        };
}

}  // namespace uaio::tls
