// Kernel TLS on the sending side of a connection: the kernel makes records of the bytes written
// below. OpenSSL still reads, but its output is dropped: an alert, which this class has the kernel
// encrypt, or a KeyUpdate, which no kernel before 6.14 supports. Engine's thread only.
#pragma once

#include "transport/tls/record_encryptor.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

namespace uaio::tls {

class KernelTls {
public:
    // `encryptor` counts the records of the key, of which OpenSSL made the first.
    KernelTls(Channel& channel, RecordEncryptor& encryptor) noexcept
        : channel_(channel), encryptor_(encryptor) {}

    // True if the kernel encrypts.
    bool active() const noexcept { return use_ == Use::yes; }
    // Why the kernel does not encrypt; empty if it does.
    std::string reason() const;

    // Decides once, as soon as the handshake is over and all of it is sent, and before the first
    // byte of data: no record of OpenSSL's may follow one of the kernel's. REQUIRES: no write is
    // pending below.
    void start_if_possible() noexcept {
        if (use_ == Use::undecided) [[unlikely]]
            decide();
    }

    // True if the key may encrypt so many more bytes; otherwise the connection fails.
    bool has_key_for(std::size_t bytes) noexcept;
    // Counts bytes that were written below.
    void count(std::size_t bytes) noexcept;
    // Fails the connection, whose key can be neither used further nor replaced.
    void fail_without_key() noexcept;
    // A write stopped after a whole record; the peer would read later bytes as its middle.
    void cut_off() noexcept;

    // Sets the alert to send. A fatal one stays.
    void raise(std::byte level, std::byte description) noexcept;
    // Takes the next step with the alert: true if it continues when the stream below has room.
    // `error` is that of the stream below.
    bool send_alert(std::error_code& error) noexcept;

private:
    enum class Use : std::uint8_t { undecided, yes, no };
    enum class Alert : std::uint8_t {
        none,
        first,   // needs room
        ready,   // can be written
        behind,  // written; waits for what the kernel holds back
    };

    void decide() noexcept;

    Channel& channel_;
    RecordEncryptor& encryptor_;
    std::error_code error_;  // why the kernel refused
    std::array<std::byte, 2> alert_{};
    Alert alert_step_ = Alert::none;
    Use use_ = Use::undecided;
};

}  // namespace uaio::tls
