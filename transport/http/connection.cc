#include <uaio/argument_error.h>
#include <uaio/http_connection.h>
#include <uaio/provider.h>

#include "transport/http/no_stream.h"
#include "transport/http/session.h"
#include "transport/stream/starters.h"

#include <new>

namespace uaio::http {
StreamPtr Connection::no_stream() noexcept {
    return StreamPtr(new (std::nothrow) NoStream<ArgumentErrc::no_stream>);
}

Connection::~Connection() {
    if (Session* const session = session_.load(std::memory_order_acquire)) {
        session->release(std::move(stream_));
    }
}

Connection::Connection(Connection&& other) noexcept
    : stream_(std::move(other.stream_)),
      options_(other.options_),
      session_(other.session_.exchange(nullptr, std::memory_order_acq_rel)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
    if (this == &other) return *this;
    this->~Connection();
    return *::new (static_cast<void*>(this)) Connection(std::move(other));
}

// The session of this connection, created on first use; null if out of memory.
Session* Connection::session_for(Aio& aio) noexcept {
    Session* session = session_.load(std::memory_order_acquire);
    if (session) [[likely]]
        return session;
    Session* const made =
        new (std::nothrow) Session(EngineCore::of(aio.engine()), *stream_, options_);
    if (!made) return nullptr;
    if (session_.compare_exchange_strong(session, made, std::memory_order_acq_rel)) return made;
    made->release(nullptr);  // another thread was first
    return session;
}

void Connection::submit(Aio& aio, void (*starter)(Aio&) noexcept, void* argument) noexcept {
    if constexpr (!kHttp) return refuse<Errc::not_supported>(aio);
    Session* const session = session_for(aio);
    if (!session) return refuse<Errc::not_enough_memory>(aio);
    submit_for(*session, aio, starter, argument);
}

// Calls the stream directly, unless messages are pending. Only the engine's thread can check that;
// other threads submit.
void Connection::raw(Aio& aio, void (Stream::*verb)(Aio&), void (*starter)(Aio&) noexcept,
                     bool reads) noexcept {
    if constexpr (!kHttp) return submit(aio, starter);
    Session* const session = session_.load(std::memory_order_acquire);
    const bool plain = !session || (!session->is_engine_gone() && session->core().on_thread() &&
                                    (reads ? session->source().plain() : session->sink().idle()));
    if (plain) return (stream_.get()->*verb)(aio);
    submit_for(*session, aio, starter);
}

void Connection::write_all(Aio& aio) noexcept {
    raw(aio, &Stream::write_all, &MessageSink::start<MessageSink::Kind::raw_all>, false);
}
void Connection::write(Aio& aio) noexcept {
    raw(aio, &Stream::write, &MessageSink::start<MessageSink::Kind::raw>, false);
}
void Connection::read_all(Aio& aio) noexcept {
    raw(aio, &Stream::read_all, &MessageSource::start<MessageSource::Kind::raw_all>, true);
}
void Connection::read(Aio& aio) noexcept {
    raw(aio, &Stream::read, &MessageSource::start<MessageSource::Kind::raw>, true);
}

void Connection::write_request(Request& request, Aio& aio) noexcept {
    submit(aio, &MessageSink::start<MessageSink::Kind::request>, &request);
}
void Connection::write_response(Response& response, Aio& aio) noexcept {
    submit(aio, &MessageSink::start<MessageSink::Kind::response>, &response);
}
void Connection::read_request(Request& request, Aio& aio) noexcept {
    submit(aio, &MessageSource::start<MessageSource::Kind::request>, &request);
}
void Connection::read_response(Response& response, Aio& aio) noexcept {
    submit(aio, &MessageSource::start<MessageSource::Kind::response>, &response);
}

ContentWriter Connection::write_content() noexcept {
    return ContentWriter(session_.load(std::memory_order_acquire));
}
ContentReader Connection::read_content() noexcept {
    return ContentReader(session_.load(std::memory_order_acquire));
}

bool Connection::keeps_alive() const noexcept {
    Session* const session = session_.load(std::memory_order_acquire);
    return !session ||
           (!session->closed() && session->source().keeps_alive() && session->sink().keeps_alive());
}

void Connection::close() noexcept {
    if (Session* const session = session_.load(std::memory_order_acquire)) session->close();
    stream_->close();
}

// ---- content

namespace {

// Without a session, no message has been written or read.
void submit_to(Session* session, Aio& aio, void (*starter)(Aio&) noexcept,
               void* argument = nullptr) noexcept {
    if constexpr (!kHttp) return refuse<Errc::not_supported>(aio);
    if (!session) return refuse<ArgumentErrc::wrong_message_state>(aio);
    submit_for(*session, aio, starter, argument);
}

const Headers no_fields;

}  // namespace

void ContentWriter::write(Aio& aio) noexcept {
    submit_to(session_, aio, &MessageSink::start<MessageSink::Kind::content>);
}
void ContentWriter::finish(Aio& aio) noexcept {
    submit_to(session_, aio, &MessageSink::start<MessageSink::Kind::finish>);
}
void ContentWriter::finish(const Headers& trailer, Aio& aio) noexcept {
    submit_to(session_, aio, &MessageSink::start<MessageSink::Kind::finish>,
              const_cast<Headers*>(&trailer));
}

void ContentReader::read(Aio& aio) noexcept {
    submit_to(session_, aio, &MessageSource::start<MessageSource::Kind::content>);
}
void ContentReader::read_all(Aio& aio) noexcept {
    submit_to(session_, aio, &MessageSource::start<MessageSource::Kind::content_all>);
}
const Headers& ContentReader::trailer() const noexcept {
    return session_ ? session_->trailer() : no_fields;
}

}  // namespace uaio::http
