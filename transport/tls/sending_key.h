// The key with which a connection sends, in the kernel's form (<linux/tls.h>), with the sequence
// number of the next record. OpenSSL passes the key on when it begins to use it, and keeps using
// it; so this class counts its records, since a sequence number must not repeat with a key. One
// thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace uaio::tls {

class SendingKey {
public:
    SendingKey() noexcept = default;
    ~SendingKey() { forget(); }
    SendingKey(const SendingKey&) = delete;
    SendingKey& operator=(const SendingKey&) = delete;

    // Copies the tls12_crypto_info_* that OpenSSL offers to the kernel.
    void keep(const void* info) noexcept;
    // Counts bytes of records that OpenSSL wrote with the key.
    void count(std::span<const std::byte> bytes) noexcept;
    // Erases the key: it was replaced, or the kernel has it.
    void forget() noexcept;

    // True if no byte of a key is left here.
    bool is_erased() const noexcept;
    // True if the key and its next sequence number are known.
    bool known() const noexcept { return size_ > 0 && left_ == 0 && head_size_ == 0; }
    // The key for the kernel, starting at the next record. REQUIRES: known().
    std::span<const std::byte> for_next_record() const noexcept { return {info_.data(), size_}; }

private:
    // The first bytes of a record: its header, and in TLS 1.2 with AES-GCM the nonce.
    static constexpr std::size_t kHeader = 5;
    static constexpr std::size_t kNonce = 8;

    void begin_record() noexcept;
    void increment(std::size_t offset) noexcept;

    alignas(8) std::array<std::byte, 64> info_{};
    std::size_t size_ = 0;    // valid bytes of info_; 0: no key
    std::size_t nonce_ = 0;   // offset of the next explicit nonce; 0: records have none
    std::size_t number_ = 0;  // offset of the next sequence number
    bool newer_ = false;      // TLS 1.3: encrypted records have the type application_data
    std::array<std::byte, kHeader + kNonce> head_{};
    std::size_t head_size_ = 0;  // bytes of an incomplete head
    std::size_t left_ = 0;       // bytes of the record after its head
};

}  // namespace uaio::tls
