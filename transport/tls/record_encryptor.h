// Encrypts with OpenSSL what a tls stream sends. Chooses the size of the records: small ones, which
// the peer can decrypt packet by packet, at the start of a connection and of each burst, else as
// long as negotiated. Counts the records of the key, and replaces it in time. Engine's thread only.
#pragma once

#include "transport/tls/openssl.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace uaio::tls {

class Channel;

class RecordEncryptor {
public:
    static constexpr std::size_t kRecordMax = SSL3_RT_MAX_PLAIN_LENGTH;
    // Bytes of data encrypted and written at a time: one system call, and few enough to stay in a
    // processor's cache.
    static constexpr std::size_t kBatchBytes = 256 * 1024;

    // The next records.
    struct Plan {
        std::size_t control = 0;  // bytes of output before the first of them
        std::size_t record = 0;   // bytes of data in each but the last
        std::size_t limit = 0;    // bytes of data in all, at most

        // Bytes of data in the whole records of `sent`, a prefix of the output: at most `data`, the
        // bytes in all of them.
        std::size_t data_in(std::span<const std::byte> sent, std::size_t data) const noexcept;
    };

    explicit RecordEncryptor(Channel& channel) noexcept : channel_(channel) {}

    // The handshake is over.
    void open() noexcept;
    // Prepares a key and room for records of up to `left` bytes. False if TLS failed.
    bool plan(std::size_t left, Plan& plan) noexcept;
    // Appends a planned record to the channel's output. False if TLS failed.
    bool encrypt(const void* data, std::size_t size) noexcept;
    // Announces a new key to the peer, and uses it. False if TLS failed.
    bool replace_key() noexcept;

    // True if the key may encrypt so many more records.
    bool has_key_for(std::uint64_t records) const noexcept {
        return key_limit() == 0 || records_of_key_ + records <= key_limit();
    }
    // Counts records that the kernel encrypted with the key.
    void count_records(std::uint64_t records) noexcept { records_of_key_ += records; }

private:
    // Most records of a key; 0: no limit. TLS 1.2 cannot replace its key.
    std::uint64_t key_limit() const noexcept;
    std::size_t record_size() noexcept;

    Channel& channel_;
    std::size_t record_max_ = 0;        // bytes of data, as negotiated
    std::size_t small_left_ = 0;        // bytes still to send in small records
    std::int64_t last_ns_ = 0;          // when the last batch began
    std::uint64_t records_of_key_ = 0;  // encrypted with the current key
};

}  // namespace uaio::tls
