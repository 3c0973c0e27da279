#include "transport/tls/channel.h"

#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"
#include "transport/stream/starters.h"
#include "transport/tls/failure.h"
#include "transport/tls/stream.h"

#include <new>

namespace uaio::tls {
Channel::Channel(EngineCore& core, ContextCore& context, StreamPtr below) noexcept
    : EngineObject(core),
      context_(context),
      below_(std::move(below)),
      try_io_(try_io_of(*below_)),
      encrypting_(encrypting_of(*below_)),
      sink_(*this),
      source_(*this) {
    context_.retain();
    enroll();
}

Channel::~Channel() {
    DCHECK(!handshake_ && (closed() || state_ == State::handshaking));
    context_.release();
}

// A handshake under way has the user's Aio; a close under way has a limit of time.
bool Channel::invariants_hold() const noexcept {
    if (timing_ && !timer_->busy()) return false;
    switch (state_) {
        case State::handshaking: return !failure_ && !timing_;
        case State::open: return ssl_ && !handshake_ && !failure_ && !timing_;
        case State::failed:
        case State::closing:
        case State::draining: return !handshake_ && timing_;
        case State::closed: return !handshake_;
    }
    return false;
}

// ---- before the handshake

std::error_code Channel::become_client(const ClientOptions& options) noexcept {
    if (context_.options().resume && !options.server_name.empty()) {
        try {
            place_ = options.server_name + '\n' + options.session_key;
        } catch (const std::bad_alloc&) {
            return Errc::not_enough_memory;
        }
    }
    bool valid = true;
    ssl_ = context_.make_client(options, place_, valid);
    if (!valid) return ArgumentErrc::invalid_server_name;
    return attach();
}

std::error_code Channel::attach() noexcept {
    if (!ssl_) return Errc::not_enough_memory;
    BioPtr bio = make_record_bio(buffers_);
    if (!bio) return Errc::not_enough_memory;
    BIO* const both = bio.release();
    SSL_set_bio(ssl_.get(), both, both);
    source_.watch(ssl_.get());
    return {};
}

// ---- the handshake

void Channel::handshake(Aio& aio, StreamPtr& out) noexcept {
    if (!Provider::submit(engine(), aio, &start_handshake, this, &out)) release();
}

void Channel::start_handshake(Aio& aio) noexcept {
    Channel& self = *static_cast<Channel*>(Provider::owner(aio));
    StreamPtr* const out = static_cast<StreamPtr*>(Provider::argument(aio));
    const Admission admission = admit_without_buffers(aio, self.closed());
    if (admission.refused != Errc{}) {
        Provider::finish(aio, admission.refused);
        return self.release_here();
    }
    put_note(aio, out);
    DCHECK(!self.handshake_ && self.handshaking() && self.invariants_hold());
    self.handshake_ = &aio;
    Provider::park_untracked(aio, &on_handshake_cancel);
    self.go_on();
    self.destroy_if_idle();
}

void Channel::on_handshake_cancel(Aio& aio) noexcept {
    Channel& self = *static_cast<Channel*>(Provider::owner(aio));
    self.end_handshake(Provider::cancel_reason(aio));
    self.close_below();
    self.destroy_if_idle();
}

// Continues the handshake with the bytes received so far.
void Channel::go_on() noexcept {
    if (!ssl_) {
        if (source_.ended() && buffers_.in.empty()) return fail(source_.end_below());
        if (buffers_.in.empty()) return source_.receive();
        ssl_ = context_.make_server();
        if (const std::error_code error = attach()) return fail(error);
    }
    clear_errors();
    const int result = SSL_do_handshake(ssl_.get());
    const int reason = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    if (reason == SSL_ERROR_NONE) return complete();
    if (reason != SSL_ERROR_WANT_READ) return fail(take_failure(ssl_.get()));
    if (source_.ended()) return fail(source_.end_below());
    sink_.flush();
    source_.receive();
}

void Channel::complete() noexcept {
    DCHECK(handshake_ && handshaking() && SSL_is_init_finished(ssl_.get()) == 1);
    // Before the last flight is sent, which shows the peer that it was accepted.
    if (const std::error_code error = context_.check_pins(ssl_.get())) {
        buffers_.out.clear();
        return fail(error);
    }
    StreamPtr stream(new (std::nothrow) TlsStream(*this));
    if (!stream) {
        buffers_.out.clear();
        return fail(Errc::not_enough_memory);
    }
    state_ = State::open;
    context_.count_handshake(SSL_session_reused(ssl_.get()) == 1);
    sink_.encryptor().open();
    source_.open();
    *note_in<StreamPtr*>(*handshake_) = std::move(stream);
    Provider::finish(*std::exchange(handshake_, nullptr), {});
    sink_.flush();
    source_.serve();
}

// Ends the user's Aio without a stream, so that no handle refers to this Channel.
void Channel::end_handshake(std::error_code error) noexcept {
    if (!handshake_) return;
    context_.count_failure();
    Provider::finish(*std::exchange(handshake_, nullptr), error);
    mark_released();
}

// ---- events of both directions

std::error_code Channel::refusal() const noexcept {
    if (failure_) return failure_;
    return Errc::closed;
}

void Channel::on_received() noexcept {
    DCHECK(core().on_thread() && invariants_hold());
    switch (state_) {
        case State::handshaking: return go_on();
        case State::open: return source_.serve();
        case State::draining:
            if (source_.discard()) return close_below();
            return;
        default: return;
    }
}

void Channel::on_sent() noexcept {
    DCHECK(!sink_.writing() && invariants_hold());
    switch (state_) {
        case State::failed: return close_below();
        case State::closing:
            if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) == 0) return send_close_notify();
            return drain();
        default: return;
    }
}

void Channel::fail(std::error_code error) noexcept {
    if (state_ != State::handshaking && state_ != State::open) return;
    state_ = State::failed;
    failure_ = error;
    end_handshake(error);
    source_.end_all(error);
    sink_.end_all(error);
    // close_timeout limits sending the alert, too.
    if (!start_timer()) return close_below();
    sink_.flush();
    if (!sink_.writing()) close_below();
    DCHECK(invariants_hold());
}

void Channel::cut_off() noexcept {
    if (state_ != State::open && state_ != State::closing) return;
    state_ = State::failed;
    source_.end_all(Errc::closed);
    sink_.end_all(Errc::closed);
    if (!timing_ && !start_timer()) return close_below();
    sink_.flush();
    if (!sink_.writing()) close_below();
    DCHECK(invariants_hold());
}

void Channel::break_off() noexcept {
    if (state_ == State::closed) return;
    end_handshake(Errc::closed);
    source_.end_all(Errc::closed);
    sink_.end_all(Errc::closed);
    close_below();
}

// ---- close

void Channel::close_here() noexcept {
    failure_ = {};  // later operations end with Errc::closed
    if (state_ == State::handshaking) return close_below();
    if (state_ != State::open) return;
    state_ = State::closing;
    source_.end_all(Errc::closed);
    sink_.end_all(Errc::closed);
    if (!start_timer()) return close_below();
    if (!sink_.writing()) send_close_notify();
}

// Sends close_notify (RFC 8446 6.1), unless writing has failed.
void Channel::send_close_notify() noexcept {
    if (sink_.broken()) return close_below();
    clear_errors();
    SSL_shutdown(ssl_.get());
    sink_.flush();
    if (!sink_.writing()) drain();
}

// Closing a socket with unread bytes resets the connection and may lose data in flight to the peer,
// so the peer closes first.
void Channel::drain() noexcept {
    DCHECK(state_ == State::closing && !sink_.writing());
    state_ = State::draining;
    if (source_.ended() || source_.discard()) return close_below();
    source_.receive();
}

bool Channel::start_timer() noexcept {
    if (!timer_) {
        timer_.reset(new (std::nothrow) Aio(engine(), [this](Aio&) {
            timing_ = false;
            close_below();
            destroy_if_idle();
        }));
    }
    if (!timer_) return false;
    timer_->set_timeout(options().close_timeout);
    timing_ = true;
    Provider::submit(
        engine(), *timer_,
        [](Aio& aio) noexcept { Provider::park_untracked(aio, &finish_canceled); }, nullptr);
    return true;
}

void Channel::close_below() noexcept {
    if (state_ == State::closed) return;
    DCHECK(!handshake_);  // an Aio left here would never end
    state_ = State::closed;
    below_->close();
    if (timing_) Provider::cancel(*timer_, Errc::canceled);
}

void Channel::on_engine_destroyed(bool idle) noexcept {
    state_ = State::closed;
    if (!idle) return;
    sink_.drop_aio();
    source_.drop_aio();
    timer_.reset();
}

}  // namespace uaio::tls
