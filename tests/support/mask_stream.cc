#include "tests/support/mask_stream.h"

#include <uaio/provider.h>

#include "transport/proxy/handshake.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace uaio {
namespace {

// Masks bytes read in place, and bytes written in a copy. One read at a time.
class MaskStream final : public Stream {
public:
    MaskStream(Engine& engine, StreamPtr lower, unsigned char mask)
        : lower_(std::move(lower)),
          mask_(mask),
          reads_(engine, [this](Aio&) { on_read(); }),
          writes_(engine, [this](Aio&) { on_written(); }) {}

    void read(Aio& aio) override { take(aio, &MaskStream::start_read<false>); }
    void read_all(Aio& aio) override { take(aio, &MaskStream::start_read<true>); }
    void write(Aio& aio) override { write_all(aio); }
    void write_all(Aio& aio) override {
        take(aio, [](Aio& started) noexcept { of(started).start_write(started); });
    }
    void close() noexcept override { lower_->close(); }
    int native_handle() const noexcept override { return lower_->native_handle(); }

private:
    static MaskStream& of(const Aio& aio) {
        return *static_cast<MaskStream*>(Provider::owner(aio));
    }

    void take(Aio& aio, Starter starter) { Provider::submit(aio.engine(), aio, starter, this); }

    template <bool all>
    static void start_read(Aio& aio) noexcept {
        MaskStream& self = of(aio);
        self.reader_ = &aio;
        const auto rest = Provider::cursor(aio).rest();
        static_cast<void>(self.reads_.set_iov(rest));
        Provider::park(aio, [](Aio& parked) noexcept { of(parked).reads_.cancel(); });
        all ? self.lower_->read_all(self.reads_) : self.lower_->read(self.reads_);
    }

    void on_read() {
        Aio& aio = *std::exchange(reader_, nullptr);
        std::size_t left = reads_.count();
        for (const iovec& entry : Provider::cursor(aio).rest()) {
            const std::size_t size = std::min(left, entry.iov_len);
            for (std::size_t i = 0; i < size; ++i)
                static_cast<unsigned char*>(entry.iov_base)[i] ^= mask_;
            left -= size;
        }
        Provider::advance(aio, reads_.count());
        Provider::finish(aio, reads_.result());
    }

    void start_write(Aio& aio) noexcept {
        writer_ = &aio;
        out_.clear();
        for (const iovec& entry : Provider::cursor(aio).rest())
            out_.append(static_cast<const char*>(entry.iov_base), entry.iov_len);
        out_ = masked(std::move(out_), mask_);
        writes_.set_iov(out_.data(), out_.size());
        Provider::park(aio, [](Aio& parked) noexcept { of(parked).writes_.cancel(); });
        lower_->write_all(writes_);
    }

    void on_written() {
        Aio& aio = *std::exchange(writer_, nullptr);
        Provider::advance(aio, writes_.count());
        Provider::finish(aio, writes_.result());
    }

    StreamPtr lower_;
    const unsigned char mask_;
    std::string out_;
    Aio* reader_ = nullptr;
    Aio* writer_ = nullptr;
    Aio reads_;
    Aio writes_;
};

class Word final : public proxy::Dialogue {
public:
    explicit Word(std::string word) : word_(std::move(word)) {}
    std::error_code begin(std::string& out) override {
        out += word_;
        return {};
    }
    proxy::Progress consume(std::string_view, std::string&) override {
        return {proxy::Progress::State::done};
    }

private:
    std::string word_;
};

// Exchanges the greeting over the stream below, then adds the mask.
struct Starting {
    Starting(StreamPtr& to, const std::string& host, unsigned char bits, Aio& aio)
        : stream(to),
          mask(bits),
          user(aio),
          word("MASK " + host + "\n"),
          io(aio.engine(), [this](Aio& done) {
              const std::unique_ptr<Starting> freed(this);
              Engine& engine = done.engine();
              if (!done.result()) {
                  stream = std::make_unique<MaskStream>(engine, std::move(stream), mask);
              }
              Provider::finish(user, done.result());
          }) {}

    StreamPtr& stream;
    const unsigned char mask;
    Aio& user;
    Word word;
    Aio io;
};

}  // namespace

std::string masked(std::string text, unsigned char mask) {
    for (char& character : text)
        character = static_cast<char>(character ^ mask);
    return text;
}

StartTls start_mask(unsigned char mask, std::string& hosts) {
    return [mask, &hosts](StreamPtr& stream, const std::string& host, Aio& aio) {
        hosts += host + " ";
        auto* const starting = new Starting(stream, host, mask, aio);
        const Starter start = [](Aio& started) noexcept {
            Starting& self = *static_cast<Starting*>(Provider::owner(started));
            Provider::park(started, [](Aio& parked) noexcept {
                static_cast<Starting*>(Provider::owner(parked))->io.cancel();
            });
            proxy::run(self.word, self.stream, self.io);
        };
        Provider::submit(aio.engine(), aio, start, starting);
    };
}

}  // namespace uaio
