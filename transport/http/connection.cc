#include <uaio/http.h>
#include <uaio/provider.h>

namespace uaio::http {
namespace {

[[maybe_unused]] void finish_not_supported(Aio& aio) noexcept {
    provider::finish(aio, Errc::not_supported);
}

// One verb for all four: to the stream, or, in a build without HTTP, to an error.
void hand_on(Stream& stream, Aio& aio, void (Stream::*verb)(Aio&)) noexcept {
    if constexpr (kHttp) {
        (stream.*verb)(aio);
    } else {
        provider::submit(aio.engine(), aio, &finish_not_supported, nullptr);
    }
}

}  // namespace

void Connection::write_all(Aio& aio) noexcept { hand_on(*stream_, aio, &Stream::write_all); }
void Connection::write(Aio& aio) noexcept { hand_on(*stream_, aio, &Stream::write); }
void Connection::read_all(Aio& aio) noexcept { hand_on(*stream_, aio, &Stream::read_all); }
void Connection::read(Aio& aio) noexcept { hand_on(*stream_, aio, &Stream::read); }
void Connection::close() noexcept { stream_->close(); }

}  // namespace uaio::http
