#include "transport/tls/record_sink.h"

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"
#include "transport/tls/channel.h"
#include "transport/tls/failure.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace uaio::tls {
namespace {

// Bytes of data encrypted and written at a time: one system call, and few enough to stay in a
// processor's cache.
constexpr std::size_t kBatchBytes = 256 * 1024;

constexpr std::size_t kRecordMax = SSL3_RT_MAX_PLAIN_LENGTH;

// Maximum overhead of a record: RFC 5246 6.2.3 allows more for compression, which is never used.
constexpr std::size_t kRecordOverhead = SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_ENCRYPTED_OVERHEAD;

// Fits into one packet, with the headers of TCP over IPv6 and its options.
constexpr std::size_t kSmallRecord = 1360;

constexpr std::int64_t kIdleNs = 1'000'000'000;

// Bytes of its send buffers that an idle connection keeps.
constexpr std::size_t kKept = 2048;

}  // namespace

RecordSink::RecordSink(Channel& channel) noexcept : channel_(channel) {
    inner_.emplace(channel.engine(), [this](Aio&) { on_back(); });
}

RecordSink::Note& RecordSink::note_of(Aio& aio) noexcept { return note_in<Note>(aio); }

RecordSink& RecordSink::of(Aio& aio) noexcept {
    return static_cast<Channel*>(Provider::owner(aio))->sink();
}

void RecordSink::open() noexcept {
    small_left_ = channel_.options().small_record_bytes;
    record_max_ = kRecordMax;
    // RFC 6066 4: max_fragment_length of the client, 2^9 to 2^12.
    const int code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(channel_.ssl()));
    if (code >= 1 && code <= 4) record_max_ = std::size_t{256} << code;
}

// ---- starters

void RecordSink::start(Aio& aio, bool all) noexcept {
    Channel& channel = *static_cast<Channel*>(Provider::owner(aio));
    RecordSink& self = channel.sink();
    const Admission admission = admit(aio, !channel.open());
    if (admission.refused == Errc::closed) return Provider::finish(aio, channel.refusal());
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    put_note(aio, Note{.left = admission.bytes, .all = all});
    self.queue_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
    self.serve();
}

void RecordSink::start_write(Aio& aio) noexcept { start(aio, false); }
void RecordSink::start_write_all(Aio& aio) noexcept { start(aio, true); }

// An operation in the batch ends with the write below, by its result.
void RecordSink::on_cancel(Aio& aio) noexcept {
    RecordSink& self = of(aio);
    if (note_of(aio).share > 0) {
        self.batch_.asked = true;
        return Provider::cancel(*self.inner_, Provider::cancel_reason(aio));
    }
    self.end(aio, Provider::cancel_reason(aio));
}

void RecordSink::end(Aio& front, std::error_code error) noexcept {
    queue_.remove(front);
    Provider::finish(front, error);
}

void RecordSink::end_all(std::error_code error) noexcept {
    const bool sending = batch_.data > 0;
    if (sending || state_ == State::waiting) Provider::cancel(*inner_, error);
    for (Aio* aio = queue_.front(); aio;) {
        Aio* const behind = AioQueue::next(*aio);
        if (!sending || note_of(*aio).share == 0) end(*aio, error);
        aio = behind;
    }
    finish_all(waiters_, error == Errc::closed ? error : std::error_code());
}

// ---- TryIo

void RecordSink::start_wait(Aio& aio) noexcept {
    Channel& channel = *static_cast<Channel*>(Provider::owner(aio));
    RecordSink& self = channel.sink();
    const bool closed = !channel.open() && channel.refusal() == Errc::closed;
    const Admission admission = admit_without_vector(aio, closed);
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
    if (is_down() || !queue_.empty() || !push_kept()) return {Errc::operation_would_block};
    if (error_) return {error_};
    offload_if_possible();
    if (offloaded()) return try_write_plain(bytes);
    ByteBuffer& out = channel_.buffers().out;
    if (out.empty()) out.swap(sending_);  // reuses memory in the cache
    Batch batch;
    std::size_t limit = 0;
    if (!plan(bytes.size(), batch, limit)) return {channel_.refusal()};
    while (batch.data < limit) {
        const std::size_t size = std::min(batch.record, limit - batch.data);
        if (!write_plain(bytes.data() + batch.data, size)) return {channel_.refusal()};
        batch.data += size;
    }
    small_left_ -= std::min(small_left_, batch.data);
    sending_.swap(out);
    push_kept();
    if (error_) return {error_};
    return {{}, batch.data};
}

void RecordSink::flush_at_once() noexcept {
    if (offloaded()) return flush();
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
    state_ = State::sending;
    static_cast<void>(inner_->set_iov(sending_.bytes().data(), sending_.size()));
    channel_.below().write_all(*inner_);
}

// ---- encryption and writes below

void RecordSink::serve() noexcept {
    while (state_ == State::idle && channel_.open()) {
        if (!sending_.empty()) {
            send_kept();
            break;
        }
        offload_if_possible();
        Aio* const front = queue_.front();
        if (!front) break;
        if (error_) {
            end(*front, error_);
        } else if (note_of(*front).left == 0) {
            end(*front, {});
        } else if (offloaded()) {
            if (!has_key_for(note_of(*front).left)) return;
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
    if (offloaded()) return flush_alert();
    if (!sending_.empty()) return send_kept();
    if (channel_.buffers().out.empty()) return offload_if_possible();
    if (error_) return channel_.buffers().out.clear();
    send();
}

// OpenSSL would answer with the next write; answered now, a data record is sent alone.
void RecordSink::answer_key_update() noexcept {
    SSL* const ssl = channel_.ssl();
    if (SSL_get_key_update_type(ssl) == SSL_KEY_UPDATE_NONE) return;
    if (!channel_.open() || error_) return;
    offloaded() ? fail_without_key() : static_cast<void>(replace_key());
}

bool RecordSink::replace_key() noexcept {
    SSL* const ssl = channel_.ssl();
    clear_errors();
    records_of_key_ = 0;
    if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1) {
        return true;
    }
    channel_.fail(take_failure(ssl));
    return false;
}

// Bytes of data in each of the next records.
std::size_t RecordSink::record_size() noexcept {
    const std::int64_t now = channel_.core().now_ns();
    if (now - last_ns_ > kIdleNs) small_left_ = channel_.options().small_record_bytes;
    last_ns_ = now;
    return small_left_ > 0 ? std::min(kSmallRecord, record_max_) : record_max_;
}

// Prepares a key and room for the next batch: sets its record size, and how many of the `left`
// bytes it may hold. False if TLS failed.
bool RecordSink::plan(std::size_t left, Batch& batch, std::size_t& limit) noexcept {
    const std::uint64_t per_key = channel_.options().records_per_key;
    const bool replaceable = SSL_version(channel_.ssl()) == TLS1_3_VERSION && per_key > 0;
    if (replaceable && records_of_key_ >= per_key && !replace_key()) return false;
    ByteBuffer& out = channel_.buffers().out;
    batch = {.control = out.size(), .record = record_size()};
    limit = std::min(left, kBatchBytes);
    if (batch.record < record_max_) limit = std::min(limit, small_left_);
    std::uint64_t records = (limit + batch.record - 1) / batch.record;
    if (replaceable) records = std::min(records, per_key - records_of_key_);
    limit = std::min<std::uint64_t>(limit, records * batch.record);
    if (!out.prepare(limit + records * kRecordOverhead).empty()) return true;
    channel_.fail(Errc::not_enough_memory);
    return false;
}

// Encrypts the next batch. False if TLS failed.
bool RecordSink::encrypt(Aio& front) noexcept {
    ByteBuffer& out = channel_.buffers().out;
    if (out.empty()) out.swap(sending_);  // reuses memory in the cache
    Batch batch;
    std::size_t limit = 0;
    if (!plan(waiting(), batch, limit)) return false;
    // Encrypted bytes count as written, so a write() takes at most one record.
    batch.some = !note_of(front).all;
    if (batch.some) limit = std::min(limit, batch.record);
    const std::size_t data = gather(front, limit);
    for (Aio* aio = &front; batch.data < data;) {
        const std::size_t size = std::min(batch.record, data - batch.data);
        if (!write_record(aio, size)) return false;
        batch.data += size;
    }
    small_left_ -= std::min(small_left_, batch.data);
    batch_ = batch;
    return true;
}

// Bytes not yet encrypted, counted only as far as a batch needs.
std::size_t RecordSink::waiting() const noexcept {
    std::size_t bytes = 0;
    for (Aio* aio = queue_.front(); aio && bytes < kBatchBytes; aio = AioQueue::next(*aio))
        bytes += std::min(note_of(*aio).left, kBatchBytes);
    return bytes;
}

// Gives the front its share of a batch with `room` bytes, and those of the same verb behind it, if
// they fit whole: encrypted bytes cannot be withdrawn. Returns all bytes.
std::size_t RecordSink::gather(Aio& front, std::size_t room) noexcept {
    std::size_t data = 0;
    for (Aio* aio = &front; aio; aio = AioQueue::next(*aio)) {
        Note& note = note_of(*aio);
        const bool fits = note.left > 0 && note.left <= room - data;
        if ((!fits || note.all != note_of(front).all) && data > 0) break;
        note.share = std::min(note.left, room);
        note.left -= note.share;
        data += note.share;
        if (!fits) break;
    }
    return data;
}

// Copies buffers that are too short for a record together, which costs less than a record for each.
// Takes bytes from `aio` on, and leaves `aio` at the next. Moves cursors, but counts bytes only
// when they are sent.
bool RecordSink::write_record(Aio*& aio, std::size_t size) noexcept {
    std::array<std::byte, kRecordMax> gathered;
    const void* data = nullptr;
    std::size_t taken = 0;
    while (taken < size) {
        const std::span<iovec> rest = Provider::cursor(*aio).rest();
        if (rest.empty()) {
            aio = AioQueue::next(*aio);
            continue;
        }
        const std::size_t part = std::min(rest.front().iov_len, size - taken);
        if (part == size) {
            data = rest.front().iov_base;
        } else if (part > 0) {
            std::memcpy(gathered.data() + taken, rest.front().iov_base, part);
            data = gathered.data();
        }
        Provider::cursor(*aio).advance(part);
        taken += part;
    }
    return write_plain(data, size);
}

bool RecordSink::write_plain(const void* data, std::size_t size) noexcept {
    clear_errors();
    std::size_t written = 0;
    const int result = SSL_write_ex(channel_.ssl(), data, size, &written);
    if (result == 1 && written == size) {
        ++records_of_key_;
        return true;
    }
    channel_.buffers().out.clear();  // nothing may be sent after the failure
    channel_.fail(take_failure(channel_.ssl()));
    return false;
}

void RecordSink::send() noexcept {
    sending_.swap(channel_.buffers().out);
    DCHECK(channel_.buffers().out.empty());
    state_ = State::sending;
    static_cast<void>(inner_->set_iov(sending_.bytes().data(), sending_.size()));
    batch_.some ? channel_.below().write(*inner_) : channel_.below().write_all(*inner_);
}

// ---- completions

void RecordSink::on_back() noexcept {
    const bool sent = state_ == State::sending;
    state_ = State::idle;
    if (sent) offloaded() ? on_plain_written() : on_written();
    serve();
    if (!writing()) {
        if (sent && channel_.open()) {
            pause();
        } else {
            rest();
            channel_.on_sent();
        }
    }
    channel_.destroy_if_idle();  // may free this
}

void RecordSink::on_written() noexcept {
    const std::error_code error = inner_->result();
    const std::size_t count = inner_->count();
    const bool whole = count == sending_.size();
    // A write() completes with its first byte: the rest of its record is kept, and sent next.
    if (batch_.some && !error && !whole) {
        sending_.consume(count);
        return end_batch({}, batch_.data);
    }
    const std::size_t data = data_in(count);
    sending_.clear();
    if (batch_.data > 0) {
        end_batch(whole ? std::error_code() : error, data);
    } else if (!whole) {
        error_ = error;
    }
}

// Waits for the callbacks of the batch, so that the writes they submit leave together. The buffers
// stay warm until then.
void RecordSink::pause() noexcept {
    state_ = State::pausing;
    Provider::submit(
        channel_.engine(), *inner_, [](Aio& inner) noexcept { Provider::finish(inner, {}); },
        nullptr);
}

// Bytes of data in the whole records among the first `bytes` of the batch.
std::size_t RecordSink::data_in(std::size_t bytes) const noexcept {
    if (bytes == sending_.size()) return batch_.data;
    const std::byte* const start = sending_.bytes().data();
    std::size_t data = 0;
    for (std::size_t at = batch_.control; at + SSL3_RT_HEADER_LENGTH <= bytes;) {
        const auto high = std::to_integer<std::size_t>(start[at + 3]);
        const auto low = std::to_integer<std::size_t>(start[at + 4]);
        at += SSL3_RT_HEADER_LENGTH + (high << 8 | low);
        if (at > bytes) break;
        data += std::min(batch_.record, batch_.data - data);
    }
    return data;
}

void RecordSink::end_batch(std::error_code error, std::size_t data) noexcept {
    const bool untouched = inner_->count() == 0 && queue_.front()->count() == 0;
    const bool asked = std::exchange(batch_, {}).asked;
    while (Aio* const front = queue_.front()) {
        Note& note = note_of(*front);
        if (note.share == 0) return;
        const std::size_t out = std::min(data, note.share);
        Provider::add_count(*front, out);
        if (out < note.share) break;
        data -= out;
        note.share = 0;
        if (note.left > 0 && note.all) return go_on(*front);
        end(*front, {});
    }
    if (queue_.empty()) return;
    const bool reset = !asked && error == Errc::connection_reset;
    if (asked) error = Errc::closed;  // for the other operations
    cut_short(error, (untouched && !asked && error != Errc::closed) || reset);
    if (reset && !untouched) error_ = Errc::closed;
}

// Continues an operation after one of its batches, unless it was cancelled or the channel closed.
void RecordSink::go_on(Aio& front) noexcept {
    std::error_code error = Provider::cancel_reason(front);
    if (!error && channel_.open()) return;
    if (!error) error = channel_.refusal();
    end(front, error);
    channel_.break_off();
}

// The front is the first operation that lost bytes; all behind it in the batch lost theirs. The
// stream below stays usable if it took nothing, or if the peer reset the connection: bytes it sent
// before may be unread.
void RecordSink::cut_short(std::error_code error, bool usable) noexcept {
    for (Aio* aio = queue_.front(); aio && note_of(*aio).share > 0;) {
        Aio* const behind = AioQueue::next(*aio);
        const std::error_code reason = Provider::cancel_reason(*aio);
        end(*aio, reason ? reason : error);
        if (!usable) error = channel_.refusal();
        aio = behind;
    }
    if (!usable) return channel_.break_off();
    error_ = error;
}

// Frees the buffers while there is nothing to write.
void RecordSink::rest() noexcept {
    sending_.shrink(kKept);
    channel_.buffers().out.shrink(kKept);
    if (SSL_has_pending(channel_.ssl()) == 0) SSL_free_buffers(channel_.ssl());
}

}  // namespace uaio::tls
