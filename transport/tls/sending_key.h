// The key of what a connection sends, in the form that the kernel takes it (<linux/tls.h>), with
// the number of the record that comes next. OpenSSL hands it over when it begins to use it, and
// goes on to; so its records are counted, since no number may ever be used twice with a key. One
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

    // Copies what OpenSSL offers to the kernel: one of the tls12_crypto_info_*.
    void keep(const void* info) noexcept;
    // More bytes of the records that OpenSSL wrote with it.
    void count(std::span<const std::byte> bytes) noexcept;
    // It is not the key any more, or somebody else has it.
    void forget() noexcept;

    // There is one, and everything about it is sure.
    bool known() const noexcept { return size_ > 0 && left_ == 0 && head_size_ == 0; }
    // For the kernel, from the next record on. REQUIRES: known().
    std::span<const std::byte> for_next_record() const noexcept { return {info_.data(), size_}; }

private:
    // The first bytes of a record: its header, and in TLS 1.2 with AES-GCM the nonce.
    static constexpr std::size_t kHeader = 5;
    static constexpr std::size_t kNonce = 8;

    void begin_record() noexcept;
    void increment(std::size_t offset) noexcept;

    alignas(8) std::array<std::byte, 64> info_{};
    std::size_t size_ = 0;    // of what is valid of it; 0: nothing
    std::size_t nonce_ = 0;   // where in it the next one is; 0: records have none
    std::size_t number_ = 0;  // where in it the next record's is
    bool newer_ = false;      // TLS 1.3: all that is encrypted looks like data
    std::array<std::byte, kHeader + kNonce> head_{};
    std::size_t head_size_ = 0;  // bytes of an unfinished head
    std::size_t left_ = 0;       // bytes of the record behind its head
};

}  // namespace uaio::tls
