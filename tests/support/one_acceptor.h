// An acceptor for one stream that a test has made. Engine's thread.
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>

#include <utility>

namespace uaio {

// Accepts `stream`; later accepts wait until close().
class OneAcceptor final : public Acceptor {
public:
    OneAcceptor(Engine& engine, StreamPtr stream) : engine_(engine), stream_(std::move(stream)) {}

    void accept(Aio& aio, StreamPtr& out) override {
        Provider::submit(engine_, aio, &start, this, &out);
    }
    void close() noexcept override {
        while (Aio* const aio = waiting_.pop())
            Provider::finish(*aio, Errc::closed);
    }

private:
    static void start(Aio& aio) noexcept {
        OneAcceptor& self = *static_cast<OneAcceptor*>(Provider::owner(aio));
        if (self.stream_) {
            *static_cast<StreamPtr*>(Provider::argument(aio)) = std::move(self.stream_);
            return Provider::finish(aio);
        }
        self.waiting_.push(aio);
        Provider::park(aio, [](Aio& ended) noexcept {
            static_cast<OneAcceptor*>(Provider::owner(ended))->waiting_.remove(ended);
            Provider::finish(ended, Provider::cancel_reason(ended));
        });
    }

    Engine& engine_;
    StreamPtr stream_;
    AioQueue waiting_;
};

}  // namespace uaio
