// Writes with kernel TLS: the kernel makes records of the bytes written below. OpenSSL still reads,
// but its output is dropped: an alert, which the sink sends itself, or a KeyUpdate, which no kernel
// before 6.14 supports.
#include <uaio/provider.h>

#include "transport/tls/channel.h"
#include "transport/tls/record_sink.h"

#include <openssl/ssl.h>

namespace uaio::tls {
namespace {

constexpr std::byte kFatal{SSL3_AL_FATAL};
constexpr std::byte kInternalError{SSL_AD_INTERNAL_ERROR};

// Records that the kernel makes of these bytes: it fills each but the last.
constexpr std::uint64_t records_in(std::size_t bytes) noexcept {
    return (bytes + SSL3_RT_MAX_PLAIN_LENGTH - 1) / SSL3_RT_MAX_PLAIN_LENGTH;
}

}  // namespace

// Runs as soon as the handshake is over and all of it is sent, and before the first byte of data:
// no record of OpenSSL's may follow one of the kernel's.
void RecordSink::offload_if_possible() noexcept {
    if (offload_ != Offloading::undecided || !channel_.open() || error_) return;
    RecordBuffers& buffers = channel_.buffers();
    if (!channel_.options().offload || !channel_.encrypting_below()) {
        offload_ = Offloading::no;
        return buffers.key.forget();
    }
    if (state_ == State::sending || !sending_.empty() || !buffers.out.empty()) return;
    offload_ = Offloading::no;
    // A replaced key is unknown, and no longer needed.
    if (buffers.key.known()) {
        offload_error_ =
            channel_.encrypting_below()->start_encrypting(buffers.key.for_next_record());
        if (!offload_error_) {
            offload_ = Offloading::yes;
            buffers.shut = true;
        }
    }
    buffers.key.forget();
}

std::string RecordSink::offload_reason() const {
    switch (offload_) {
        case Offloading::yes: return {};
        case Offloading::undecided: return "what the handshake wrote has not left yet";
        case Offloading::no: break;
    }
    if (!channel_.options().offload) return "ContextOptions::offload is off";
    if (const Offload kernel = tls::offload(); !kernel.available) return std::string(kernel.reason);
    if (!channel_.encrypting_below())
        return "the stream below is no plain socket of this library's";
    if (offload_error_) return "the kernel refuses: " + offload_error_.message();
    return "the kernel has not this cipher, or not records this short";
}

// ---- alerts and KeyUpdates

void RecordSink::on_own_message(int type, std::span<const std::byte> bytes) noexcept {
    if (type == SSL3_RT_HANDSHAKE && channel_.open()) {
        // A KeyUpdate: the peer expects the new key from now on.
        channel_.buffers().key.forget();
        if (offloaded()) error_ = TlsErrc::key_used_up;
    }
    if (type == SSL3_RT_ALERT && bytes.size() == alert_.size()) raise(bytes[0], bytes[1]);
}

void RecordSink::raise(std::byte level, std::byte description) noexcept {
    const bool final = alert_step_ != Alert::none && alert_[0] == kFatal;
    if (!offloaded() || final) return;
    alert_ = {level, description};
    alert_step_ = Alert::first;
}

void RecordSink::fail_without_key() noexcept {
    raise(kFatal, kInternalError);
    channel_.fail(TlsErrc::key_used_up);
}

// The peer would read later bytes as the middle of the cut write.
void RecordSink::cut_off() noexcept {
    raise(kFatal, kInternalError);
    channel_.cut_off();
}

// If the socket has no room, kernel TLS holds a record back, reports it as written, and drops it
// when the socket is shut down. So wait for room first; the alert then flushes what was held back.
void RecordSink::flush_alert() noexcept {
    if (error_) alert_step_ = Alert::none;
    if (alert_step_ == Alert::first) {
        alert_step_ = Alert::ready;
        if (wait_for_room()) return;
    }
    if (alert_step_ == Alert::behind) alert_step_ = Alert::none;
    if (alert_step_ == Alert::none) return;
    const Transferred sent = channel_.encrypting_below()->try_write_record(SSL3_RT_ALERT, alert_);
    if (sent.error && sent.error != Errc::operation_would_block) {
        error_ = sent.error;
        return;
    }
    if (!sent.error) alert_step_ = Alert::behind;
    wait_for_room();
}

// ---- data

// True if the key may encrypt so many more bytes; otherwise the connection fails. TLS 1.2 cannot
// replace its key.
bool RecordSink::has_key_for(std::size_t bytes) noexcept {
    const std::uint64_t per_key = channel_.options().records_per_key;
    if (SSL_version(channel_.ssl()) != TLS1_3_VERSION || per_key == 0) return true;
    if (records_of_key_ + records_in(bytes) <= per_key) return true;
    fail_without_key();
    return false;
}

// Writes with write(), so that the stream below never closes after a part: see flush_alert().
void RecordSink::send_plain(Aio& front) noexcept {
    Note& note = note_of(front);
    if (const std::error_code error = inner_->set_iov(Provider::cursor(front).rest())) {
        const bool untouched = front.count() == 0;
        end(front, error);
        if (!untouched) cut_off();
        return;
    }
    batch_ = {.data = note.left};
    note.share = note.left;
    state_ = State::sending;
    channel_.below().write(*inner_);
}

void RecordSink::on_plain_written() noexcept {
    Aio& front = *queue_.front();
    Note& note = note_of(front);
    const std::size_t count = inner_->count();
    batch_ = {};
    records_of_key_ += records_in(count);
    Provider::advance(front, count);
    note.left -= count;
    note.share = 0;
    if (note.left == 0 || (!note.all && count > 0)) return end(front, {});
    const std::error_code reason = Provider::cancel_reason(front);
    std::error_code error = reason ? reason : inner_->result();
    if (!error && !channel_.open()) error = channel_.refusal();
    if (!error) return;  // serve() sends the rest
    const bool untouched = front.count() == 0;
    end(front, error);
    const bool reset = !reason && error == Errc::connection_reset;
    if (!reason && channel_.open()) error_ = untouched ? error : make_error_code(Errc::closed);
    if (!untouched && !reset) cut_off();  // bytes received before a reset stay readable
}

Transferred RecordSink::try_write_plain(std::span<const std::byte> bytes) noexcept {
    if (!has_key_for(bytes.size())) return {channel_.refusal()};
    const Transferred sent = channel_.try_io_below()->try_write(bytes);
    if (sent.error && sent.error != Errc::operation_would_block) error_ = sent.error;
    records_of_key_ += records_in(sent.count);
    return sent;
}

// False if waiting is impossible or unnecessary.
bool RecordSink::wait_for_room() noexcept {
    if (!offloaded() || error_ || channel_.closed() || state_ != State::idle) return false;
    state_ = State::waiting;
    channel_.try_io_below()->wait_for(Direction::send, *inner_);
    return true;
}

}  // namespace uaio::tls
