#include "transport/tls/record_sink.h"

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/queues.h"
#include "transport/tls/channel.h"

#include <algorithm>
#include <array>

namespace uaio::tls {
namespace {

// Bytes of its send buffers that an idle connection keeps.
constexpr std::size_t kKept = 2048;

}  // namespace

RecordSink::RecordSink(Channel& channel) noexcept : channel_(channel) {
    inner_.emplace(channel.engine(), [this](Aio&) { on_back(); });
}

RecordSink& RecordSink::of(Aio& aio) noexcept {
    return static_cast<Channel*>(Provider::owner(aio))->sink();
}

// A batch is under way only with a write below. Once the kernel makes the records, none of
// OpenSSL's may follow, and the kernel alone has the key.
bool RecordSink::invariants_hold() const noexcept {
    if (writing() && inner_ && !inner_->busy()) return false;
    if (writes_.batch() > 0 && state_ != State::sending) return false;
    const RecordBuffers& buffers = channel_.buffers();
    return !kernel_.active() ||
           (sending_.empty() && buffers.out.empty() && buffers.key.is_erased());
}

// ---- starters

void RecordSink::start(Aio& aio, bool all) noexcept {
    Channel& channel = *static_cast<Channel*>(Provider::owner(aio));
    RecordSink& self = channel.sink();
    const Admission admission = admit(aio, !channel.open());
    if (admission.refused == Errc::closed) return Provider::finish(aio, channel.refusal());
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    self.writes_.push(aio, admission.bytes, all);
    Provider::park_untracked(aio, &on_cancel);
    self.serve();
}

void RecordSink::start_write(Aio& aio) noexcept { start(aio, false); }
void RecordSink::start_write_all(Aio& aio) noexcept { start(aio, true); }

// An operation in the batch ends with the write below, by its result.
void RecordSink::on_cancel(Aio& aio) noexcept {
    RecordSink& self = of(aio);
    const std::error_code reason = Provider::cancel_reason(aio);
    if (!BatchQueue::is_in_batch(aio)) return self.writes_.end(aio, reason);
    DCHECK(self.state_ == State::sending);
    self.writes_.cancel_batch();
    Provider::cancel(*self.inner_, reason);
}

void RecordSink::end_all(std::error_code error) noexcept {
    const bool sending = state_ == State::sending && writes_.batch() > 0;
    if (sending || state_ == State::waiting) Provider::cancel(*inner_, error);
    sending ? writes_.end_waiting(error) : writes_.end_all(error);
    finish_all(waiters_, error == Errc::closed ? error : std::error_code());
    DCHECK(invariants_hold());
}

// ---- TryIo

void RecordSink::start_wait(Aio& aio) noexcept {
    Channel& channel = *static_cast<Channel*>(Provider::owner(aio));
    RecordSink& self = channel.sink();
    const bool closed = !channel.open() && channel.refusal() == Errc::closed;
    const Admission admission = admit_without_buffers(aio, closed);
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    // An attempt reports the error.
    if (!channel.open() || self.error_ || (self.is_idle() && !self.wait_for_room())) {
        return Provider::finish(aio, {});
    }
    self.waiters_.push(aio);
    Provider::park_untracked(aio, &on_wait_cancel);
}

void RecordSink::on_wait_cancel(Aio& aio) noexcept {
    RecordSink& self = of(aio);
    self.waiters_.remove(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
}

// Encrypts a batch only when no bytes are kept, so that at most one batch is buffered.
Transferred RecordSink::try_write(std::span<const std::byte> bytes) noexcept {
    if (!channel_.open()) return {channel_.refusal()};
    if (is_down() || !writes_.empty() || !push_kept()) return {Errc::operation_would_block};
    if (error_) return {error_};
    DCHECK(invariants_hold() && sending_.empty());
    kernel_.start_if_possible();
    if (kernel_.active()) return try_write_plain(bytes);
    ByteBuffer& out = channel_.buffers().out;
    if (out.empty()) out.swap(sending_);  // reuses memory in the cache
    RecordEncryptor::Plan plan;
    if (!encryptor_.plan(bytes.size(), plan)) return {channel_.refusal()};
    std::size_t data = 0;
    while (data < plan.limit) {
        const std::size_t size = std::min(plan.record, plan.limit - data);
        if (!encryptor_.encrypt(bytes.data() + data, size)) return {channel_.refusal()};
        data += size;
    }
    sending_.swap(out);
    push_kept();
    if (error_) return {error_};
    return {{}, data};
}

void RecordSink::flush_at_once() noexcept {
    if (kernel_.active()) return flush();
    ByteBuffer& out = channel_.buffers().out;
    if (state_ == State::sending || !channel_.open() || out.empty() || !push_kept()) return;
    if (error_) return out.clear();
    sending_.swap(out);
    push_kept();
}

// True if no bytes are kept any more; error_ then holds a failure.
bool RecordSink::push_kept() noexcept {
    TryIo* const below = channel_.try_io_below();
    while (!sending_.empty()) {
        const Transferred sent =
            below ? below->try_write(sending_.bytes()) : Transferred{Errc::operation_would_block};
        if (sent.error == Errc::operation_would_block) {
            remind();
            return false;
        }
        if (sent.error) {
            error_ = sent.error;
            sending_.clear();
        } else {
            DCHECK(sent.count > 0);  // see TryIo; an attempt without progress would never end
            sending_.consume(sent.count);
        }
    }
    return true;
}

// Has the engine send the kept bytes, unless an attempt does so first.
void RecordSink::remind() noexcept {
    if (reminder_.posted) return;
    reminder_.posted = true;
    reminder_.deliver = [](MailboxEntry& entry) noexcept {
        RecordSink& self = static_cast<Reminder&>(entry).sink;
        self.reminder_.posted = false;
        self.serve();
        self.channel_.destroy_if_idle();  // may free this
    };
    channel_.core().post(reminder_);
}

void RecordSink::send_kept() noexcept {
    DCHECK(state_ == State::idle && writes_.batch() == 0);
    state_ = State::sending;
    inner_->set_iov(sending_.bytes().data(), sending_.size());
    channel_.below().write_all(*inner_);
}

// ---- encryption and writes below

void RecordSink::serve() noexcept {
    DCHECK(invariants_hold());
    while (state_ == State::idle && channel_.open()) {
        if (!sending_.empty()) {
            send_kept();
            break;
        }
        if (!error_) kernel_.start_if_possible();
        Aio* const front = writes_.front();
        if (!front) break;
        if (error_) {
            writes_.end(*front, error_);
        } else if (BatchQueue::left(*front) == 0) {
            writes_.end(*front, {});
        } else if (kernel_.active()) {
            if (!kernel_.has_key_for(BatchQueue::left(*front))) return;
            send_plain(*front);
        } else if (!encrypt(*front)) {
            return;  // the channel has failed, and ended all operations
        } else {
            send();
        }
    }
    flush();
    if (is_idle()) finish_all(waiters_, {});
}

void RecordSink::flush() noexcept {
    if (writing() || channel_.closed()) return;
    if (kernel_.active()) {
        if (kernel_.send_alert(error_)) wait_for_room();
        return;
    }
    if (!sending_.empty()) return send_kept();
    if (channel_.buffers().out.empty()) {
        if (!error_) kernel_.start_if_possible();
        return;
    }
    if (error_) return channel_.buffers().out.clear();
    send();
}

// OpenSSL would answer with the next write; answered now, a data record is sent alone.
void RecordSink::answer_key_update() noexcept {
    SSL* const ssl = channel_.ssl();
    if (SSL_get_key_update_type(ssl) == SSL_KEY_UPDATE_NONE) return;
    if (!channel_.open() || error_) return;
    // A failure has ended the channel.
    kernel_.active() ? kernel_.fail_without_key() : static_cast<void>(encryptor_.replace_key());
}

void RecordSink::on_own_message(int type, std::span<const std::byte> bytes) noexcept {
    if (type == SSL3_RT_HANDSHAKE && channel_.open()) {
        // A KeyUpdate: the peer expects the new key from now on.
        channel_.buffers().key.forget();
        if (kernel_.active()) error_ = TlsErrc::key_used_up;
    }
    if (type == SSL3_RT_ALERT && bytes.size() == 2) kernel_.raise(bytes[0], bytes[1]);
}

// Encrypts the next batch. False if TLS failed.
bool RecordSink::encrypt(Aio& front) noexcept {
    ByteBuffer& out = channel_.buffers().out;
    if (out.empty()) out.swap(sending_);  // reuses memory in the cache
    if (!encryptor_.plan(writes_.waiting(RecordEncryptor::kBatchBytes), plan_)) return false;
    // Encrypted bytes count as written, so a write() takes at most one record.
    const bool some = BatchQueue::takes_some(front);
    const std::size_t data =
        writes_.begin(some ? std::min(plan_.limit, plan_.record) : plan_.limit);
    std::array<std::byte, RecordEncryptor::kRecordMax> gathered;
    for (std::size_t at = 0; at < data;) {
        const std::size_t size = std::min(plan_.record, data - at);
        if (!encryptor_.encrypt(writes_.take(size, gathered), size)) return false;
        at += size;
    }
    return true;
}

void RecordSink::send() noexcept {
    DCHECK(state_ == State::idle && sending_.empty() && !channel_.buffers().out.empty());
    sending_.swap(channel_.buffers().out);
    state_ = State::sending;
    inner_->set_iov(sending_.bytes().data(), sending_.size());
    writes_.batch_takes_some() ? channel_.below().write(*inner_)
                               : channel_.below().write_all(*inner_);
}

// ---- completions

void RecordSink::on_back() noexcept {
    DCHECK(writing() && channel_.core().on_thread());
    const bool sent = state_ == State::sending;
    state_ = State::idle;
    if (sent) kernel_.active() ? on_plain_written() : on_written();
    serve();
    if (!writing()) {
        if (sent && channel_.open()) {
            pause();
        } else {
            rest();
            channel_.on_sent();
        }
    }
    DCHECK(invariants_hold());
    channel_.destroy_if_idle();  // may free this
}

void RecordSink::on_written() noexcept {
    const std::error_code error = inner_->result();
    const std::size_t count = inner_->count();
    ALWAYS_CHECK(count <= sending_.size(), "the stream below reports more bytes than it was given");
    const bool whole = count == sending_.size();
    const std::size_t batch = writes_.batch();
    // A write() completes with its first byte: the rest of its record is kept, and sent next.
    if (writes_.batch_takes_some() && !error && !whole) {
        sending_.consume(count);
        return end_batch({}, batch);
    }
    if (batch == 0) {
        if (!whole) error_ = error;
        return sending_.clear();
    }
    const std::size_t data = whole ? batch : plan_.data_in(sending_.bytes().first(count), batch);
    sending_.clear();
    end_batch(whole ? std::error_code() : error, data);
}

// Waits for the callbacks of the batch, so that the writes they submit leave together. The buffers
// stay warm until then.
void RecordSink::pause() noexcept {
    DCHECK(state_ == State::idle && writes_.batch() == 0);
    state_ = State::pausing;
    Provider::submit(
        channel_.engine(), *inner_, [](Aio& inner) noexcept { Provider::finish(inner, {}); },
        nullptr);
}

// After a cut, the stream below stays usable if it took nothing, or if the peer reset the
// connection: bytes it sent before may be unread.
void RecordSink::end_batch(std::error_code error, std::size_t data) noexcept {
    DCHECK(data == writes_.batch() || error);
    const bool untouched = inner_->count() == 0 && writes_.front()->count() == 0;
    const bool asked = writes_.is_canceled();
    switch (writes_.settle(data)) {
        case BatchQueue::Settled::sent: return;
        case BatchQueue::Settled::continues: return go_on(*writes_.front());
        case BatchQueue::Settled::cut: break;
    }
    const bool reset = !asked && error == Errc::connection_reset;
    if (asked) error = Errc::closed;  // for the other operations
    const bool usable = (untouched && !asked && error != Errc::closed) || reset;
    writes_.end_cut(error, usable ? error : channel_.refusal());
    if (!usable) return channel_.break_off();
    error_ = untouched ? error : make_error_code(Errc::closed);
}

// Continues an operation after one of its batches, unless it was cancelled or the channel closed.
void RecordSink::go_on(Aio& front) noexcept {
    std::error_code error = Provider::cancel_reason(front);
    if (!error && channel_.open()) return;
    if (!error) error = channel_.refusal();
    writes_.end(front, error);
    channel_.break_off();
}

// Frees the buffers while there is nothing to write.
void RecordSink::rest() noexcept {
    sending_.shrink(kKept);
    channel_.buffers().out.shrink(kKept);
    if (SSL_has_pending(channel_.ssl()) == 0) SSL_free_buffers(channel_.ssl());
}

}  // namespace uaio::tls
