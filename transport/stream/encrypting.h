// What a stream on a socket of a kernel with TLS can do besides its verbs: have the kernel encrypt
// what is written from now on (Documentation/networking/tls.rst). Only what is the socket itself
// has this, so whoever finds it knows that nothing is layered between. Engine's thread only.
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
    // The kernel makes a record of every write from now on, with the key and the number in `info`,
    // one of the tls12_crypto_info_* of <linux/tls.h>. There is no way back. REQUIRES: nothing is
    // being written. Errors, with nothing changed but that the socket may have been told of TLS:
    // closed; what setsockopt(2) says.
    virtual std::error_code start_encrypting(std::span<const std::byte> info) noexcept = 0;
    // Takes all of the bytes, as one record of this type, or none; else as try_write().
    virtual Transferred try_write_record(std::uint8_t type,
                                         std::span<const std::byte> bytes) noexcept = 0;

protected:
    ~Encrypting() = default;
};

// Null for a stream that has none.
inline Encrypting* encrypting_of(Stream& stream) noexcept {
    return dynamic_cast<Encrypting*>(&stream);
}

}  // namespace uaio
