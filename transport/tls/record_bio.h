// OpenSSL's transport: two buffers in memory. A write always succeeds, so that OpenSSL never has to
// repeat it; a read returns received bytes, or asks to retry. One thread at a time.
#pragma once

#include "transport/tls/byte_buffer.h"
#include "transport/tls/openssl.h"
#include "transport/tls/sending_key.h"

namespace uaio::tls {

struct RecordBuffers {
    ByteBuffer in;      // received, for OpenSSL to read
    ByteBuffer out;     // written by OpenSSL, to be sent
    SendingKey key;     // OpenSSL's current write key
    bool shut = false;  // drops OpenSSL's output: the kernel uses the key
};

// A BIO over `buffers`, which must outlive it; null without memory.
BioPtr make_record_bio(RecordBuffers& buffers) noexcept;

}  // namespace uaio::tls
