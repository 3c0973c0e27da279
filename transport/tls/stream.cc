#include "transport/tls/stream.h"

#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/stream/starters.h"
#include "transport/tls/failure.h"

#include <new>

namespace uaio::tls {
namespace {

// Ends an Aio whose Channel could not become a client; the argument is an Errc, or a negated
// ArgumentErrc.
void start_refused(Aio& aio) noexcept {
    const auto code = static_cast<int>(reinterpret_cast<std::intptr_t>(Provider::argument(aio)));
    const std::error_code error = code < 0 ? std::error_code(-code, argument_category())
                                           : std::error_code(code, error_category());
    Provider::finish(aio, error);
}

void refuse_with(Aio& aio, std::error_code error) noexcept {
    const bool is_argument = error.category() == argument_category();
    DCHECK(is_argument || error.category() == error_category());
    const std::intptr_t code = is_argument ? -error.value() : error.value();
    Provider::submit(aio.engine(), aio, &start_refused, nullptr, reinterpret_cast<void*>(code));
}

template <class Become>
void make(const Context& context, StreamPtr below, Aio& aio, StreamPtr& out,
          Become become) noexcept {
    if (!below) return refuse<ArgumentErrc::no_stream>(aio);
    Channel* const channel = new (std::nothrow)
        Channel(EngineCore::of(aio.engine()), ContextCore::of(context), std::move(below));
    if (!channel) return refuse<Errc::not_enough_memory>(aio);
    if (const std::error_code error = become(*channel)) {
        channel->release();
        return refuse_with(aio, error);
    }
    channel->handshake(aio, out);
}

std::string subject_of(const SSL* ssl) {
    X509* const peer = SSL_get0_peer_certificate(ssl);
    const BioPtr text(peer ? BIO_new(BIO_s_mem()) : nullptr);
    if (!text) return {};
    X509_NAME_print_ex(text.get(), X509_get_subject_name(peer), 0, XN_FLAG_RFC2253);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

}  // namespace

void TlsStream::read(Aio& aio) { submit_for(channel_, aio, &RecordSource::start_read); }

void TlsStream::read_all(Aio& aio) { submit_for(channel_, aio, &RecordSource::start_read_all); }

void TlsStream::write(Aio& aio) { submit_for(channel_, aio, &RecordSink::start_write); }

void TlsStream::write_all(Aio& aio) { submit_for(channel_, aio, &RecordSink::start_write_all); }

void TlsStream::wait_for(Direction direction, Aio& aio) noexcept {
    const Starter starter =
        direction == Direction::send ? &RecordSink::start_wait : &RecordSource::start_wait;
    submit_for(channel_, aio, starter);
}

void connect(const Context& context, StreamPtr below, const ClientOptions& options, Aio& aio,
             StreamPtr& out) noexcept {
    make(context, std::move(below), aio, out,
         [&options](Channel& channel) { return channel.become_client(options); });
}

void accept(const Context& context, StreamPtr below, Aio& aio, StreamPtr& out) noexcept {
    make(context, std::move(below), aio, out, [](Channel&) { return std::error_code(); });
}

Details details(const Stream& stream) {
    const auto* const tls = dynamic_cast<const TlsStream*>(&stream);
    if (!tls) return {};
    SSL* const ssl = tls->channel().ssl();
    Details result;
    result.version = SSL_get_version(ssl);
    result.cipher = SSL_get_cipher_name(ssl);
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    if (size > 0) result.protocol.assign(reinterpret_cast<const char*>(protocol), size);
    if (ServerName server; sent_name(ssl, server)) result.server_name = server.name();
    result.peer = subject_of(ssl);
    result.resumed = SSL_session_reused(ssl) == 1;
    result.offloaded = tls->channel().sink().kernel().active();
    result.offload_reason = tls->channel().sink().kernel().reason();
    return result;
}

}  // namespace uaio::tls
