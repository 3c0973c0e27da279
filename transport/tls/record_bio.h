// What OpenSSL takes for its transport: two buffers in memory. Writing always succeeds, so that
// OpenSSL never has to be called again with the same bytes; reading finds what has come, or nothing
// yet. One thread at a time.
#pragma once

#include "transport/tls/byte_buffer.h"
#include "transport/tls/openssl.h"
#include "transport/tls/sending_key.h"

namespace uaio::tls {

struct RecordBuffers {
    ByteBuffer in;      // received, for OpenSSL to read
    ByteBuffer out;     // written by OpenSSL, to be sent
    SendingKey key;     // that OpenSSL writes with
    bool shut = false;  // what OpenSSL writes goes nowhere: another encrypts with its key
};

// A BIO over `buffers`, which must outlive it; null without memory.
BioPtr make_record_bio(RecordBuffers& buffers) noexcept;

}  // namespace uaio::tls
