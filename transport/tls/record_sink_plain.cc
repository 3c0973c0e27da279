// Writes with kernel TLS: the stream below gets the users' own bytes.
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/tls/channel.h"
#include "transport/tls/record_sink.h"

namespace uaio::tls {

// Writes with write(), so that the stream below never closes after a part: see
// KernelTls::send_alert().
void RecordSink::send_plain(Aio& front) noexcept {
    DCHECK(state_ == State::idle && invariants_hold());
    if (const std::error_code error = inner_->set_iov(Provider::cursor(front).rest())) {
        const bool untouched = front.count() == 0;
        writes_.end(front, error);
        if (!untouched) kernel_.cut_off();
        return;
    }
    writes_.begin(BatchQueue::left(front));
    state_ = State::sending;
    channel_.below().write(*inner_);
}

void RecordSink::on_plain_written() noexcept {
    ALWAYS_CHECK(inner_->count() <= writes_.batch(),
                 "the stream below reports more bytes than it was given");
    Aio& front = *writes_.front();
    kernel_.count(inner_->count());
    if (writes_.settle_untaken(inner_->count())) return writes_.end(front, {});
    const std::error_code reason = Provider::cancel_reason(front);
    std::error_code error = reason ? reason : inner_->result();
    if (!error && !channel_.open()) error = channel_.refusal();
    if (!error) return;  // serve() sends the rest
    const bool untouched = front.count() == 0;
    writes_.end(front, error);
    const bool reset = !reason && error == Errc::connection_reset;
    if (!reason && channel_.open()) error_ = untouched ? error : make_error_code(Errc::closed);
    if (!untouched && !reset) kernel_.cut_off();  // bytes received before a reset stay readable
}

Transferred RecordSink::try_write_plain(std::span<const std::byte> bytes) noexcept {
    if (!kernel_.has_key_for(bytes.size())) return {channel_.refusal()};
    const Transferred sent = channel_.try_io_below()->try_write(bytes);
    DCHECK(sent.count <= bytes.size());
    if (sent.error && sent.error != Errc::operation_would_block) error_ = sent.error;
    kernel_.count(sent.count);
    return sent;
}

// False if waiting is impossible or unnecessary.
bool RecordSink::wait_for_room() noexcept {
    if (!kernel_.active() || error_ || channel_.closed() || state_ != State::idle) return false;
    state_ = State::waiting;
    channel_.try_io_below()->wait_for(Direction::send, *inner_);
    return true;
}

}  // namespace uaio::tls
