// An optional interface of streams: makes the kernel encrypt later writes
// (Documentation/networking/tls.rst). Only a stream that is the socket itself has it, so no layer
// lies between. Engine's thread only.
#pragma once

#include <uaio/stream.h>

#include "transport/stream/try_io.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

namespace uaio {

class Encrypting {
public:
    // Makes a record of every later write, with the key and sequence number in `info`, one of the
    // tls12_crypto_info_* of <linux/tls.h>. Irreversible. REQUIRES: no write is pending. Errors,
    // which change nothing but may leave the ULP "tls" on the socket: closed; those of
    // setsockopt(2).
    [[nodiscard]] virtual std::error_code start_encrypting(
        std::span<const std::byte> info) noexcept = 0;
    // Writes all of the bytes as one record of this type, or none; otherwise like try_write().
    virtual Transferred try_write_record(std::uint8_t type,
                                         std::span<const std::byte> bytes) noexcept = 0;

protected:
    ~Encrypting() = default;
};

// Null if the stream does not have it.
inline Encrypting* encrypting_of(Stream& stream) noexcept {
    return dynamic_cast<Encrypting*>(&stream);
}

}  // namespace uaio
