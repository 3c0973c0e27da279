// Manipulates OpenSSL below a tls stream, without the library's knowledge. On the engine's thread.
#pragma once

#include <uaio/stream.h>

namespace uaio {

enum class KeyUpdate { own, both };

// Makes this end send a new key and request the other's too. False if OpenSSL refuses.
bool update_key(Stream& stream, KeyUpdate kind);

// Counts the other end's key updates from now on; `counter` must outlive the stream.
void count_key_updates(Stream& stream, unsigned& counter);

// Frees OpenSSL's memory of this thread, such as the texts of past errors.
void end_openssl_thread();

}  // namespace uaio
