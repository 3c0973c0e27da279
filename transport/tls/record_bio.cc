#include "transport/tls/record_bio.h"

#include <algorithm>

namespace uaio::tls {
namespace {

RecordBuffers& buffers_of(BIO* bio) noexcept {
    return *static_cast<RecordBuffers*>(BIO_get_data(bio));
}

int write_records(BIO* bio, const char* bytes, std::size_t count, std::size_t* written) noexcept {
    BIO_clear_retry_flags(bio);
    RecordBuffers& buffers = buffers_of(bio);
    *written = count;
    if (buffers.shut) return 1;
    if (!buffers.out.append(bytes, count)) {
        ERR_raise(ERR_LIB_BIO, ERR_R_MALLOC_FAILURE);
        return 0;
    }
    buffers.key.count({reinterpret_cast<const std::byte*>(bytes), count});
    return 1;
}

// Never reports an end: RecordSource decides its meaning, and OpenSSL would end the write side,
// too.
int read_records(BIO* bio, char* out, std::size_t room, std::size_t* count) noexcept {
    BIO_clear_retry_flags(bio);
    ByteBuffer& in = buffers_of(bio).in;
    *count = std::min(room, in.size());
    if (*count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    std::memcpy(out, in.bytes().data(), *count);
    in.consume(*count);
    return 1;
}

// BIO_CTRL_SET_KTLS, named only in a comment of <openssl/bio.h>.
constexpr int kSetKey = 72;

// Returns 0 for unknown commands, and for an offered key, too: OpenSSL encrypts until the handshake
// is over, and the kernel takes over once no write is pending. `sent` is zero for the receive key.
long control(BIO* bio, int command, long sent, void* argument) noexcept {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == kSetKey && sent != 0) buffers_of(bio).key.keep(argument);
    return 0;
}

int create(BIO* bio) noexcept {
    BIO_set_init(bio, 1);
    return 1;
}

// The BIO's method, never freed; null without memory.
const BIO_METHOD* method() noexcept {
    static const BIO_METHOD* const made = []() -> const BIO_METHOD* {
        BIO_METHOD* const method =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "uaio records");
        if (!method) return nullptr;
        BIO_meth_set_write_ex(method, &write_records);
        BIO_meth_set_read_ex(method, &read_records);
        BIO_meth_set_ctrl(method, &control);
        BIO_meth_set_create(method, &create);
        return method;
    }();
    return made;
}

}  // namespace

BioPtr make_record_bio(RecordBuffers& buffers) noexcept {
    const BIO_METHOD* const kind = method();
    BioPtr bio(kind ? BIO_new(kind) : nullptr);
    if (bio) BIO_set_data(bio.get(), &buffers);
    return bio;
}

}  // namespace uaio::tls
