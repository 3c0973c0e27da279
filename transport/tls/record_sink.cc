#include "transport/tls/record_sink.h"

#include "aio/check.h"
#include "transport/admit.h"
#include "transport/tls/channel.h"
#include "transport/tls/failure.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace uaio::tls {
namespace {

// Bytes of data that are encrypted and written at a time: one system call, and little enough to
// stay in a processor's cache on the way.
constexpr std::size_t kBatchBytes = 64 * 1024;

constexpr std::size_t kRecordMax = SSL3_RT_MAX_PLAIN_LENGTH;

// What TLS adds to a record, at most: RFC 5246 6.2.3 allows more for a compression that nobody has.
constexpr std::size_t kRecordOverhead = SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_ENCRYPTED_OVERHEAD;

// Fits into one packet, with the headers of TCP over IPv6 and its options.
constexpr std::size_t kSmallRecord = 1360;

constexpr std::int64_t kIdleNs = 1'000'000'000;

// What a connection keeps of its send buffers while it has nothing to write.
constexpr std::size_t kKept = 2048;

}  // namespace

RecordSink::RecordSink(Channel& channel) noexcept : channel_(channel) {
    inner_.emplace(channel.engine(), [this](Aio&) { on_written(); });
}

RecordSink::Note& RecordSink::note_of(Aio& aio) noexcept {
    return *std::launder(reinterpret_cast<Note*>(EngineCore::scratch(aio).data()));
}

RecordSink& RecordSink::of(Aio& aio) noexcept {
    return static_cast<Channel*>(EngineCore::owner(aio))->sink();
}

void RecordSink::open() noexcept {
    small_left_ = channel_.options().small_record_bytes;
    record_max_ = kRecordMax;
    // RFC 6066 4: what the client asked for, 2^9 to 2^12.
    const int code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(channel_.ssl()));
    if (code >= 1 && code <= 4) record_max_ = std::size_t{256} << code;
}

// ---- from the verbs

void RecordSink::start(Aio& aio, bool all) noexcept {
    Channel& channel = *static_cast<Channel*>(EngineCore::owner(aio));
    RecordSink& self = channel.sink();
    EngineCore& core = channel.core();
    const Admission admission = admit(aio, !channel.open());
    if (admission.refused == Errc::closed) return core.finish(aio, channel.refusal());
    if (admission.refused != Errc{}) return core.finish(aio, admission.refused);
    ::new (static_cast<void*>(EngineCore::scratch(aio).data())) Note{admission.bytes, all};
    self.queue_.push(aio);
    core.park(aio, &on_cancel);
    self.serve();
}

void RecordSink::start_write(Aio& aio) noexcept { start(aio, false); }
void RecordSink::start_write_all(Aio& aio) noexcept { start(aio, true); }

// The front is being written: what the stream below says of it is its end.
void RecordSink::on_cancel(Aio& aio) noexcept {
    RecordSink& self = of(aio);
    EngineCore& core = self.channel_.core();
    if (self.queue_.front() == &aio && self.batch_.data > 0) {
        return core.cancel_here(*self.inner_, EngineCore::cancel_reason(aio));
    }
    self.end(aio, EngineCore::cancel_reason(aio));
}

void RecordSink::end(Aio& front, std::error_code error) noexcept {
    queue_.remove(front);
    channel_.core().finish(front, error);
}

void RecordSink::end_all(std::error_code error) noexcept {
    Aio* aio = queue_.front();
    if (aio && batch_.data > 0) {
        channel_.core().cancel_here(*inner_, error);
        aio = AioQueue::next(*aio);
    }
    while (aio) {
        Aio* const behind = AioQueue::next(*aio);
        end(*aio, error);
        aio = behind;
    }
    end_waiters(error == Errc::closed ? error : std::error_code());
}

// ---- without an operation

void RecordSink::start_wait(Aio& aio) noexcept {
    Channel& channel = *static_cast<Channel*>(EngineCore::owner(aio));
    RecordSink& self = channel.sink();
    const bool closed = !channel.open() && channel.refusal() == Errc::closed;
    const Admission admission = admit_without_vector(aio, closed);
    if (admission.refused != Errc{}) return channel.core().finish(aio, admission.refused);
    // What went wrong an attempt will say.
    if (!channel.open() || self.error_ || self.is_idle()) return channel.core().finish(aio, {});
    self.waiters_.push(aio);
    channel.core().park(aio, &on_wait_cancel);
}

void RecordSink::on_wait_cancel(Aio& aio) noexcept {
    RecordSink& self = of(aio);
    self.waiters_.remove(aio);
    self.channel_.core().finish(aio, EngineCore::cancel_reason(aio));
}

void RecordSink::end_waiters(std::error_code error) noexcept {
    while (Aio* const aio = waiters_.pop())
        channel_.core().finish(*aio, error);
}

// A batch is encrypted only when nothing is kept, so that there is never more than one of them.
Transferred RecordSink::write_at_once(std::span<const std::byte> bytes) noexcept {
    if (!channel_.open()) return {channel_.refusal()};
    if (writing_ || !queue_.empty() || !push_kept()) return {Errc::operation_would_block};
    if (error_) return {error_};
    ByteBuffer& out = channel_.buffers().out;
    if (out.empty()) out.swap(sending_);  // its memory is warm
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
    ByteBuffer& out = channel_.buffers().out;
    if (writing_ || !channel_.open() || out.empty() || !push_kept()) return;
    if (error_) return out.clear();
    sending_.swap(out);
    push_kept();
}

// True if nothing is kept any more; what went wrong is in error_ then.
bool RecordSink::push_kept() noexcept {
    Immediate* const below = channel_.immediate_below();
    while (!sending_.empty()) {
        const Transferred sent = below ? below->write_at_once(sending_.bytes())
                                       : Transferred{Errc::operation_would_block};
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

// The engine sends what is kept, if no attempt comes before.
void RecordSink::remind() noexcept {
    if (reminder_.posted) return;
    reminder_.posted = true;
    reminder_.deliver = [](MailboxEntry& entry) noexcept {
        RecordSink& self = static_cast<Reminder&>(entry).sink;
        self.reminder_.posted = false;
        self.serve();
        self.channel_.let_go();  // may free this
    };
    channel_.core().post(reminder_);
}

void RecordSink::send_kept() noexcept {
    writing_ = true;
    static_cast<void>(inner_->set_iov(sending_.bytes().data(), sending_.size()));
    channel_.below().write_all(*inner_);
}

// ---- down

void RecordSink::serve() noexcept {
    while (!writing_ && channel_.open()) {
        if (!sending_.empty()) {
            send_kept();
            break;
        }
        Aio* const front = queue_.front();
        if (!front) break;
        if (error_) {
            end(*front, error_);
        } else if (note_of(*front).left == 0) {
            end(*front, {});
        } else if (!encrypt(*front)) {
            return;  // the channel has failed, and ended everything
        } else {
            send();
        }
    }
    flush();
    if (is_idle()) end_waiters({});
}

void RecordSink::flush() noexcept {
    if (writing_ || channel_.closed()) return;
    if (!sending_.empty()) return send_kept();
    if (channel_.buffers().out.empty()) return;
    if (error_) return channel_.buffers().out.clear();
    send();
}

// What OpenSSL would do by itself with the next write; done now, a record of data comes alone.
void RecordSink::answer_key_update() noexcept {
    SSL* const ssl = channel_.ssl();
    if (SSL_get_key_update_type(ssl) == SSL_KEY_UPDATE_NONE) return;
    if (!channel_.open() || error_) return;
    replace_key();
}

bool RecordSink::replace_key() noexcept {
    SSL* const ssl = channel_.ssl();
    ERR_clear_error();
    records_of_key_ = 0;
    if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1) {
        return true;
    }
    channel_.fail(take_failure(ssl));
    return false;
}

// Bytes of data in the records to come.
std::size_t RecordSink::record_size() noexcept {
    const std::int64_t now = channel_.core().now_ns();
    if (now - last_ns_ > kIdleNs) small_left_ = channel_.options().small_record_bytes;
    last_ns_ = now;
    return small_left_ > 0 ? std::min(kSmallRecord, record_max_) : record_max_;
}

// Room and a key for the next batch: how large its records are, and how many bytes of the `left`
// ones it may have. False if TLS failed.
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

// The next batch of the front's bytes. False if TLS failed.
bool RecordSink::encrypt(Aio& front) noexcept {
    Note& note = note_of(front);
    ByteBuffer& out = channel_.buffers().out;
    if (out.empty()) out.swap(sending_);  // its memory is warm
    Batch batch;
    std::size_t limit = 0;
    if (!plan(note.left, batch, limit)) return false;
    while (batch.data < limit) {
        const std::size_t size = std::min(batch.record, limit - batch.data);
        if (!write_record(front, size)) return false;
        batch.data += size;
    }
    note.left -= batch.data;
    small_left_ -= std::min(small_left_, batch.data);
    batch_ = batch;
    return true;
}

// Entries that are too short for a record are copied together: that costs less than records of
// their own would. The cursor moves, but nothing is counted until it is out.
bool RecordSink::write_record(Aio& front, std::size_t size) noexcept {
    std::array<std::byte, kRecordMax> gathered;
    IovCursor& cursor = EngineCore::cursor(front);
    const void* data = nullptr;
    std::size_t taken = 0;
    while (taken < size) {
        const iovec entry = cursor.rest().front();
        const std::size_t part = std::min(entry.iov_len, size - taken);
        if (taken == 0 && part == size) {
            data = entry.iov_base;
        } else if (part > 0) {
            std::memcpy(gathered.data() + taken, entry.iov_base, part);
            data = gathered.data();
        }
        cursor.advance(part);
        taken += part;
    }
    return write_plain(data, size);
}

bool RecordSink::write_plain(const void* data, std::size_t size) noexcept {
    ERR_clear_error();
    std::size_t written = 0;
    const int result = SSL_write_ex(channel_.ssl(), data, size, &written);
    if (result == 1 && written == size) {
        ++records_of_key_;
        return true;
    }
    channel_.buffers().out.clear();  // nothing of it may leave after its end
    channel_.fail(take_failure(channel_.ssl()));
    return false;
}

void RecordSink::send() noexcept {
    sending_.swap(channel_.buffers().out);
    DCHECK(channel_.buffers().out.empty());
    writing_ = true;
    static_cast<void>(inner_->set_iov(sending_.bytes().data(), sending_.size()));
    channel_.below().write_all(*inner_);
}

// ---- up

void RecordSink::on_written() noexcept {
    writing_ = false;
    const std::error_code error = inner_->result();
    const std::size_t count = inner_->count();
    const bool whole = !error || count == sending_.size();
    const std::size_t data = data_in(count);
    sending_.clear();
    if (batch_.data > 0) {
        end_batch(whole ? std::error_code() : error, data);
    } else if (!whole) {
        error_ = error;
    }
    serve();
    if (!writing_) {
        rest();
        channel_.on_sent();
    }
    channel_.let_go();  // may free this
}

// Bytes of data in the records that went out whole with the first `bytes` of the batch.
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
    Aio& front = *queue_.front();
    Note& note = note_of(front);
    batch_ = {};
    EngineCore::add_count(front, data);
    if (!error) {
        if (note.left == 0 || !note.all) return end(front, {});
        error = EngineCore::cancel_reason(front);
        if (!error && channel_.open()) return;
        if (!error) error = channel_.refusal();
        end(front, error);
        return channel_.break_off();
    }
    // The stream below is usable if it took nothing; the records that it did not take are lost
    // all the same. A peer that reset the connection may have sent something before.
    const bool asked = static_cast<bool>(EngineCore::cancel_reason(front));
    const bool untouched = front.count() == 0 && data == 0 && inner_->count() == 0;
    end(front, error);
    if (asked || !untouched || error == Errc::closed) return channel_.break_off();
    error_ = error;
}

// Nothing is to be written: what that took is given back.
void RecordSink::rest() noexcept {
    sending_.shrink(kKept);
    channel_.buffers().out.shrink(kKept);
    if (SSL_has_pending(channel_.ssl()) == 0) SSL_free_buffers(channel_.ssl());
}

}  // namespace uaio::tls
