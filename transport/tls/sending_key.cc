#include "transport/tls/sending_key.h"

#include "base/check.h"
#include "transport/tls/openssl.h"

#include <linux/tls.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/crypto.h>

namespace uaio::tls {
namespace {

using Aes128 = tls12_crypto_info_aes_gcm_128;
using Aes256 = tls12_crypto_info_aes_gcm_256;
using ChaCha = tls12_crypto_info_chacha20_poly1305;

constexpr std::size_t kNumber = 8;  // bytes of a sequence number, and of an explicit nonce
static_assert(sizeof Aes128::iv == kNumber && sizeof Aes256::iv == kNumber);
static_assert(sizeof Aes128::rec_seq == kNumber && sizeof Aes256::rec_seq == kNumber &&
              sizeof ChaCha::rec_seq == kNumber);

}  // namespace

void SendingKey::keep(const void* info) noexcept {
    static_assert(sizeof(Aes128) <= sizeof info_ && sizeof(Aes256) <= sizeof info_ &&
                  sizeof(ChaCha) <= sizeof info_);
    forget();
    tls_crypto_info kind;
    std::memcpy(&kind, info, sizeof kind);
    newer_ = kind.version == TLS1_3_VERSION;
    // RFC 5288 3: the record carries eight bytes of the nonce. Other ciphers use the sequence
    // number (RFC 7905 2, RFC 8446 5.3).
    const auto begin_key = [this](std::size_t size, std::size_t number, std::size_t nonce) {
        size_ = size;
        number_ = number;
        nonce_ = newer_ ? 0 : nonce;
    };
    switch (kind.cipher_type) {
        case TLS_CIPHER_AES_GCM_128:
            begin_key(sizeof(Aes128), offsetof(Aes128, rec_seq), offsetof(Aes128, iv));
            break;
        case TLS_CIPHER_AES_GCM_256:
            begin_key(sizeof(Aes256), offsetof(Aes256, rec_seq), offsetof(Aes256, iv));
            break;
        case TLS_CIPHER_CHACHA20_POLY1305:
            begin_key(sizeof(ChaCha), offsetof(ChaCha, rec_seq), 0);
            break;
        default: return;
    }
    std::memcpy(info_.data(), info, size_);
}

void SendingKey::forget() noexcept {
    OPENSSL_cleanse(info_.data(), info_.size());
    size_ = head_size_ = left_ = 0;
}

bool SendingKey::is_erased() const noexcept {
    return size_ == 0 &&
           std::ranges::all_of(info_, [](std::byte each) { return each == std::byte{0}; });
}

void SendingKey::count(std::span<const std::byte> bytes) noexcept {
    while (size_ > 0 && !bytes.empty()) {
        if (left_ > 0) {
            const std::size_t part = std::min(left_, bytes.size());
            left_ -= part;
            bytes = bytes.subspan(part);
            continue;
        }
        head_[head_size_++] = bytes.front();
        bytes = bytes.subspan(1);
        if (head_size_ == kHeader + (nonce_ > 0 ? kNonce : 0)) begin_record();
    }
}

// An unexpected record only makes the key unusable for the kernel.
void SendingKey::begin_record() noexcept {
    DCHECK(left_ == 0 && number_ > 0 && number_ + kNumber <= size_);
    const std::size_t length =
        std::to_integer<std::size_t>(head_[3]) << 8 | std::to_integer<std::size_t>(head_[4]);
    const std::size_t behind = std::exchange(head_size_, 0) - kHeader;
    if (length < behind) return forget();
    if (newer_ && head_[0] != std::byte{SSL3_RT_APPLICATION_DATA}) return forget();
    if (nonce_ > 0) {
        if (std::memcmp(&info_[nonce_], &head_[kHeader], kNonce) != 0) return forget();
        increment(nonce_);
    }
    increment(number_);
    left_ = length - behind;
}

// Big-endian.
void SendingKey::increment(std::size_t offset) noexcept {
    for (std::size_t at = offset + kNumber; at > offset; --at) {
        std::byte& digit = info_[at - 1];
        digit = static_cast<std::byte>(std::to_integer<unsigned>(digit) + 1);
        if (digit != std::byte{0}) return;
    }
}

}  // namespace uaio::tls
