#include "tests/support/tls/openssl_access.h"

#include "transport/tls/stream.h"

namespace uaio {
namespace {

tls::Channel& channel_of(Stream& stream) { return static_cast<tls::TlsStream&>(stream).channel(); }

constexpr unsigned char kKeyUpdate = 24;  // RFC 8446 B.3

void on_message(int sent, int, int type, const void* bytes, std::size_t, SSL*, void* counter) {
    const auto* const first = static_cast<const unsigned char*>(bytes);
    if (sent == 0 && type == SSL3_RT_HANDSHAKE && *first == kKeyUpdate) {
        ++*static_cast<unsigned*>(counter);
    }
}

}  // namespace

bool update_key(Stream& stream, KeyUpdate kind) {
    tls::Channel& channel = channel_of(stream);
    const int what =
        kind == KeyUpdate::both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
    const bool done =
        SSL_key_update(channel.ssl(), what) == 1 && SSL_do_handshake(channel.ssl()) == 1;
    channel.sink().flush();
    return done;
}

void count_key_updates(Stream& stream, unsigned& counter) {
    SSL_set_msg_callback(channel_of(stream).ssl(), &on_message);
    SSL_set_msg_callback_arg(channel_of(stream).ssl(), &counter);
}

void end_openssl_thread() { OPENSSL_thread_stop(); }

}  // namespace uaio
