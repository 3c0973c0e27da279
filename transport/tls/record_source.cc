#include "transport/tls/record_source.h"

#include "base/check.h"
#include "transport/stream/admit.h"
#include "transport/stream/queues.h"
#include "transport/tls/channel.h"
#include "transport/tls/failure.h"

#include <algorithm>
#include <array>

namespace uaio::tls {
namespace {

// Bytes of a read below: few on an idle connection, to save memory; then one record; then several.
constexpr std::size_t kRoomIdle = 1024;
constexpr std::size_t kRoomRecord = 17 * 1024;
constexpr std::size_t kRoomBulk = 68 * 1024;

bool is_all(Aio& aio) noexcept { return Provider::scratch(aio)[0] != std::byte{0}; }

}  // namespace

RecordSource::RecordSource(Channel& channel) noexcept : channel_(channel), room_(kRoomIdle) {
    inner_.emplace(channel.engine(), [this](Aio&) { on_read(); });
}

RecordSource& RecordSource::of(Aio& aio) noexcept {
    return static_cast<Channel*>(Provider::owner(aio))->source();
}

void RecordSource::watch(SSL* ssl) noexcept {
    SSL_set_msg_callback(ssl, &on_message);
    SSL_set_msg_callback_arg(ssl, this);
}

// OpenSSL limits empty records and warning alerts, but not these messages.
void RecordSource::on_message(int sent, int, int type, const void* bytes, std::size_t size, SSL*,
                              void* source) noexcept {
    RecordSource& self = *static_cast<RecordSource*>(source);
    if (sent != 0) {
        self.channel_.sink().on_own_message(type, {static_cast<const std::byte*>(bytes), size});
    } else if (type == SSL3_RT_HANDSHAKE) {
        ++self.idle_messages_;
    }
}

// ---- starters

void RecordSource::start(Aio& aio, bool all) noexcept {
    Channel& channel = *static_cast<Channel*>(Provider::owner(aio));
    RecordSource& self = channel.source();
    const Admission admission = admit(aio, !channel.open());
    if (admission.refused == Errc::closed) return Provider::finish(aio, channel.refusal());
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    Provider::scratch(aio)[0] = std::byte{all};
    self.queue_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
    if (self.queue_.front() == &aio) self.serve();
}

void RecordSource::start_read(Aio& aio) noexcept { start(aio, false); }
void RecordSource::start_read_all(Aio& aio) noexcept { start(aio, true); }

// The next operation gets the bytes of a pending read below.
void RecordSource::on_cancel(Aio& aio) noexcept {
    RecordSource& self = of(aio);
    const bool first = self.queue_.front() == &aio;
    self.end(aio, Provider::cancel_reason(aio));
    if (first) self.serve();
    self.stop_unwanted();
}

void RecordSource::end(Aio& front, std::error_code error) noexcept {
    queue_.remove(front);
    Provider::finish(front, error);
}

void RecordSource::end_all(std::error_code error) noexcept {
    while (Aio* const front = queue_.front())
        end(*front, error);
    finish_all(waiters_, error == Errc::closed ? error : std::error_code());
}

// ---- TryIo

// After a failure the wait ends at once, and an attempt reports the error.
void RecordSource::start_wait(Aio& aio) noexcept {
    Channel& channel = *static_cast<Channel*>(Provider::owner(aio));
    RecordSource& self = channel.source();
    const bool closed = !channel.open() && channel.refusal() == Errc::closed;
    const Admission admission = admit_without_buffers(aio, closed);
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    if (!channel.open()) return Provider::finish(aio, {});
    self.waiters_.push(aio);
    Provider::park_untracked(aio, &on_wait_cancel);
    if (self.queue_.empty()) self.serve();
}

void RecordSource::on_wait_cancel(Aio& aio) noexcept {
    RecordSource& self = of(aio);
    self.waiters_.remove(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
    self.stop_unwanted();
}

void RecordSource::read_on_demand() noexcept {
    TryIo* const below = channel_.try_io_below();
    if (!below) return;
    on_demand_ = true;
    stop_unwanted();
    below->read_on_demand();
}

// A handshake and a close always need the peer's messages.
bool RecordSource::is_wanted() const noexcept {
    return !on_demand_ || !queue_.empty() || !waiters_.empty() || !channel_.open();
}

// The stream below keeps later bytes, and returns those already received.
void RecordSource::stop_unwanted() noexcept {
    if (reading_ && !is_wanted()) Provider::cancel(*inner_, Errc::canceled);
}

Transferred RecordSource::try_read(std::span<std::byte> bytes) noexcept {
    DCHECK(!bytes.empty() && channel_.core().on_thread());
    if (!channel_.open()) return {channel_.refusal()};
    if (!queue_.empty()) return {Errc::operation_would_block};
    if (result_) return {result_};
    std::size_t total = 0;
    std::error_code error;
    while (total < bytes.size()) {
        std::size_t count = 0;
        clear_errors();
        const int result =
            SSL_read_ex(channel_.ssl(), bytes.data() + total, bytes.size() - total, &count);
        if (result == 1) {
            idle_messages_ = 0;
            total += count;
            continue;
        }
        const Step step = stop(result);
        if (step == Step::more_bytes && total == 0 && fetch()) continue;
        if (step == Step::failed || !channel_.open()) {
            error = channel_.refusal();
        } else {
            error = result_ ? result_ : make_error_code(Errc::operation_would_block);
        }
        break;
    }
    channel_.sink().answer_key_update();
    channel_.sink().flush_at_once();
    if (total > 0) return {{}, total};
    return {error};
}

// Tries to read below at once; true if that brought bytes or an end.
bool RecordSource::fetch() noexcept {
    TryIo* const below = channel_.try_io_below();
    ByteBuffer& in = channel_.buffers().in;
    if (reading_ || end_ || !below || !in.empty()) return false;
    if (!in.resize(room_)) {
        channel_.fail(Errc::not_enough_memory);
        return false;
    }
    const Transferred got = below->try_read(in.prepare(1));
    if (got.error == Errc::operation_would_block) return false;
    end_ = got.error;
    take_in(got.count);
    return true;
}

void RecordSource::take_in(std::size_t count) noexcept {
    channel_.buffers().in.commit(count);
    filled_ = count == room_;
    if (filled_) room_ = room_ == kRoomIdle ? kRoomRecord : kRoomBulk;
}

// ---- received bytes

void RecordSource::serve() noexcept {
    Step step = Step::finished;
    while (Aio* const front = queue_.front()) {
        step = read_into(*front);
        if (step != Step::finished) break;
    }
    const bool asked = !channel_.buffers().in.empty() || !waiters_.empty();
    if (step == Step::finished && asked) step = look_ahead();
    if (step == Step::failed) return;
    if (step == Step::finished) finish_all(waiters_, {});
    channel_.sink().answer_key_update();
    // So that a later attempt to send finds no write pending.
    on_demand_ ? channel_.sink().flush_at_once() : channel_.sink().flush();
    if (SSL_has_pending(channel_.ssl()) == 0) SSL_free_buffers(channel_.ssl());
    receive();
}

RecordSource::Step RecordSource::read_into(Aio& front) noexcept {
    IovCursor& cursor = Provider::cursor(front);
    const bool all = is_all(front);
    for (;;) {
        const std::span<iovec> rest = cursor.rest();
        const auto entry =
            std::ranges::find_if(rest, [](const iovec& each) { return each.iov_len > 0; });
        if (entry == rest.end()) return end(front, {}), Step::finished;
        std::size_t count = 0;
        clear_errors();
        const int result =
            result_ ? 0 : SSL_read_ex(channel_.ssl(), entry->iov_base, entry->iov_len, &count);
        if (result == 1) {
            idle_messages_ = 0;
            Provider::advance(front, count);
            continue;
        }
        if (!all && front.count() > 0) {
            // The next operation reports what stopped this one.
            end(front, {});
            return result_ ? Step::finished : stop(result);
        }
        const Step step = result_ ? Step::finished : stop(result);
        if (step == Step::finished) end(front, result_);
        return step;
    }
}

// Finds why nothing was read; `finished` if result_ holds it, permanently.
RecordSource::Step RecordSource::stop(int result) noexcept {
    DCHECK(!result_);
    SSL* const ssl = channel_.ssl();
    const int reason = SSL_get_error(ssl, result);
    if (idle_messages_ > channel_.options().idle_messages) {
        channel_.fail(TlsErrc::flood);
        return Step::failed;
    }
    if (reason == SSL_ERROR_WANT_READ) {
        if (!end_) return Step::more_bytes;
        result_ = end_below();
        return Step::finished;
    }
    if (reason == SSL_ERROR_ZERO_RETURN) {
        result_ = Errc::end_of_stream;
        return Step::finished;
    }
    channel_.fail(take_failure(ssl));
    return Step::failed;
}

// Processes messages without data, up to the first byte of data, while no read is queued.
RecordSource::Step RecordSource::look_ahead() noexcept {
    DCHECK(queue_.empty());  // or the peeked byte is that of a read
    if (result_) return Step::finished;
    std::byte first;
    std::size_t count = 0;
    clear_errors();
    const int result = SSL_peek_ex(channel_.ssl(), &first, 1, &count);
    return result == 1 ? Step::finished : stop(result);
}

std::error_code RecordSource::end_below() const noexcept {
    return end_ == Errc::end_of_stream ? make_error_code(Errc::truncated) : end_;
}

bool RecordSource::discard() noexcept {
    DCHECK(!channel_.open() && queue_.empty());  // or bytes of the user's are lost
    if (result_) return true;
    std::array<std::byte, 4096> dropped;
    for (;;) {
        std::size_t count = 0;
        clear_errors();
        const int result = SSL_read_ex(channel_.ssl(), dropped.data(), dropped.size(), &count);
        if (result == 1) continue;
        if (end_ || SSL_get_error(channel_.ssl(), result) != SSL_ERROR_WANT_READ) return true;
        receive();
        return false;
    }
}

// ---- reads below

void RecordSource::receive() noexcept {
    ByteBuffer& in = channel_.buffers().in;
    if (reading_ || end_ || result_ || channel_.closed() || !in.empty()) return;
    if (!is_wanted()) return;
    // No part of another record is buffered: the burst may be over.
    if (!filled_ && channel_.ssl() && SSL_has_pending(channel_.ssl()) == 0) room_ = kRoomIdle;
    if (!in.resize(room_)) {
        channel_.fail(Errc::not_enough_memory);
        return;
    }
    reading_ = true;
    const std::span<std::byte> room = in.prepare(1);
    inner_->set_iov(room.data(), room.size());
    channel_.below().read(*inner_);
}

void RecordSource::on_read() noexcept {
    DCHECK(reading_ && channel_.buffers().in.empty());
    reading_ = false;
    const std::error_code result = inner_->result();
    if (!on_demand_ || result != Errc::canceled) end_ = result;
    take_in(inner_->count());
    channel_.on_received();
    channel_.destroy_if_idle();  // may free this
}

}  // namespace uaio::tls
