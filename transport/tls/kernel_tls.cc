#include "transport/tls/kernel_tls.h"

#include <uaio/tls.h>

#include "base/check.h"
#include "transport/tls/channel.h"

namespace uaio::tls {
namespace {

constexpr std::byte kFatal{SSL3_AL_FATAL};
constexpr std::byte kInternalError{SSL_AD_INTERNAL_ERROR};

// Records that the kernel makes of these bytes: it fills each but the last.
constexpr std::uint64_t records_in(std::size_t bytes) noexcept {
    return (bytes + RecordEncryptor::kRecordMax - 1) / RecordEncryptor::kRecordMax;
}

}  // namespace

void KernelTls::decide() noexcept {
    if (!channel_.open()) return;
    RecordBuffers& buffers = channel_.buffers();
    if (!channel_.options().offload || !channel_.encrypting_below()) {
        use_ = Use::no;
        return buffers.key.forget();
    }
    if (!buffers.out.empty()) return;
    use_ = Use::no;
    // A replaced key is unknown, and no longer needed.
    if (buffers.key.known()) {
        error_ = channel_.encrypting_below()->start_encrypting(buffers.key.for_next_record());
        if (!error_) {
            use_ = Use::yes;
            buffers.shut = true;
        }
    }
    buffers.key.forget();
}

std::string KernelTls::reason() const {
    switch (use_) {
        case Use::yes: return {};
        case Use::undecided: return "the last bytes of the handshake have not been sent yet";
        case Use::no: break;
    }
    if (!channel_.options().offload) return "ContextOptions::offload is off";
    if (const Offload kernel = tls::offload(); !kernel.available) return std::string(kernel.reason);
    if (!channel_.encrypting_below()) return "the stream below is not a socket of this library";
    if (error_) return "the kernel refused: " + error_.message();
    return "the kernel does not support this cipher, or records this short";
}

// ---- the key

bool KernelTls::has_key_for(std::size_t bytes) noexcept {
    DCHECK(active() && channel_.open());
    if (encryptor_.has_key_for(records_in(bytes))) return true;
    fail_without_key();
    return false;
}

void KernelTls::count(std::size_t bytes) noexcept {
    DCHECK(active() && encryptor_.has_key_for(records_in(bytes)));
    encryptor_.count_records(records_in(bytes));
}

void KernelTls::fail_without_key() noexcept {
    raise(kFatal, kInternalError);
    channel_.fail(TlsErrc::key_used_up);
}

void KernelTls::cut_off() noexcept {
    raise(kFatal, kInternalError);
    channel_.cut_off();
}

// ---- alerts

void KernelTls::raise(std::byte level, std::byte description) noexcept {
    const bool final = alert_step_ != Alert::none && alert_[0] == kFatal;
    if (!active() || final) return;
    alert_ = {level, description};
    alert_step_ = Alert::first;
}

// If the socket has no room, kernel TLS holds a record back, reports it as written, and drops it
// when the socket is shut down. So wait for room first; the alert then flushes what was held back.
bool KernelTls::send_alert(std::error_code& error) noexcept {
    DCHECK(active() && !channel_.closed());
    if (error || alert_step_ == Alert::behind) alert_step_ = Alert::none;
    if (alert_step_ == Alert::none) return false;
    if (alert_step_ == Alert::first) {
        alert_step_ = Alert::ready;
        return true;
    }
    const Transferred sent = channel_.encrypting_below()->try_write_record(SSL3_RT_ALERT, alert_);
    if (sent.error && sent.error != Errc::operation_would_block) {
        error = sent.error;
        return false;
    }
    if (!sent.error) alert_step_ = Alert::behind;
    return true;
}

}  // namespace uaio::tls
