#include "transport/proxy/handshake.h"

#include <uaio/provider.h>
#include <uaio/proxy.h>

#include "base/check.h"
#include "transport/proxy/prefixed_stream.h"
#include "transport/stream/admit.h"
#include "transport/stream/starters.h"

#include <memory>
#include <new>
#include <utility>

namespace uaio::proxy {
namespace {

// Most answers are a few hundred bytes. Surplus bytes are copied once.
constexpr std::size_t kBlock = 4096;

// A dialogue under way. Owns itself from the accepted submission to its end.
class Handshake {
public:
    Handshake(Dialogue& dialogue, StreamPtr& stream, Aio& aio)
        : dialogue_(dialogue),
          stream_(stream),
          user_(aio),
          io_(aio.engine(), [this](Aio&) { guarded([this] { on_io(); }); }) {}

    static void start(Aio& aio) noexcept {
        Handshake& self = *static_cast<Handshake*>(Provider::owner(aio));
        const Admission admission = admit_without_buffers(aio, false);
        if (admission.refused != Errc{}) return self.end(admission.refused);
        Provider::park(aio, [](Aio& parked) noexcept {
            static_cast<Handshake*>(Provider::owner(parked))->io_.cancel();
        });
        self.guarded([&self] { self.begin(); });
    }

private:
    enum class State : std::uint8_t { writing, reading };

    template <class Step>
    void guarded(Step step) noexcept {
        try {
            step();
        } catch (const std::bad_alloc&) {
            end(Errc::not_enough_memory);
        }
    }

    void end(std::error_code error) noexcept {
        const std::unique_ptr<Handshake> freed(this);
        if (error) stream_->close();
        Provider::finish(user_, error);
    }

    void begin() {
        DCHECK(stream_ && unsent_.empty() && size_ == 0);
        const std::error_code error = dialogue_.begin(unsent_);
        if (error) return end(error);
        unsent_.empty() ? consume() : write();
    }

    void write() {
        state_ = State::writing;
        io_.set_iov(unsent_.data(), unsent_.size());
        stream_->write_all(io_);
    }

    void read() {
        state_ = State::reading;
        DCHECK(unsent_.empty());  // or the proxy waits for it
        received_.resize(size_ + kBlock);
        io_.set_iov(received_.data() + size_, kBlock);
        stream_->read(io_);
    }

    // Checks the user's cancel first: it may have missed an operation that was complete, and the
    // next one would continue.
    void on_io() {
        if (const std::error_code asked = Provider::cancel_reason(user_)) return end(asked);
        if (const std::error_code error = io_.result()) {
            return end(error == Errc::end_of_stream ? ProxyErrc::closed_early : error);
        }
        if (state_ == State::writing) {
            DCHECK(io_.count() == unsent_.size());
            unsent_.clear();
        } else {
            ALWAYS_CHECK(io_.count() <= kBlock,
                         "the stream reports more bytes than it was given room for");
            size_ += io_.count();
        }
        consume();
    }

    void consume() {
        for (;;) {
            const Progress progress = dialogue_.consume({received_.data(), size_}, unsent_);
            if (progress.state == Progress::State::failed) return end(progress.error);
            ALWAYS_CHECK(progress.consumed <= size_,
                         "a dialogue consumed bytes that were not received");
            received_.erase(0, progress.consumed);
            size_ -= progress.consumed;
            if (progress.state == Progress::State::done) return finish();
            if (!unsent_.empty()) return write();
            const bool moved = progress.state == Progress::State::advanced && progress.consumed > 0;
            if (!moved) return read();
        }
    }

    void finish() {
        received_.resize(size_);
        StreamPtr tunnel = prefixed(user_.engine(), std::move(stream_), std::move(received_));
        stream_ = std::move(tunnel);
        end({});
    }

    Dialogue& dialogue_;
    StreamPtr& stream_;
    Aio& user_;
    std::string unsent_;
    std::string received_;  // with room for a block
    std::size_t size_ = 0;  // bytes received and not consumed
    State state_ = State::writing;
    Aio io_;
};

}  // namespace

void run(Dialogue& dialogue, StreamPtr& stream, Aio& aio) noexcept {
    std::unique_ptr<Handshake> handshake(new (std::nothrow) Handshake(dialogue, stream, aio));
    submit_owned(std::move(handshake), aio, &Handshake::start);
}

}  // namespace uaio::proxy
