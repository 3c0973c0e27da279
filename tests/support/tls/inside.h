// What a test does to OpenSSL below a tls stream, behind the library's back. On the engine's
// thread.
#pragma once

#include <uaio/stream.h>

namespace uaio {

enum class KeyUpdate { own, both };

// Has this end send a new key, and ask for the other's as well. False if OpenSSL would not.
bool update_key(Stream& stream, KeyUpdate kind);

// Counts the new keys of the other end that come from now on; `counter` must outlive the stream.
void count_key_updates(Stream& stream, unsigned& counter);

// Frees what OpenSSL keeps for this thread, such as the texts of errors that are over.
void end_openssl_thread();

}  // namespace uaio
