// http::Connection::write_all() and Aio::wait(), as in the first program of README.md: the engine
// has a thread of its own.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "bench/cross_thread/writer.h"

#include <array>
#include <system_error>

namespace uaio::bench {
namespace {

class UaioWriter final : public Writer {
public:
    explicit UaioWriter(std::uint16_t port) : connection_(connect(io_.engine(), port)) {
        aio_.set_iov(bytes_.data(), bytes_.size());
    }

    void write() override {
        connection_.write_all(aio_);
        completed_ = Clock::now();
        waits_ = aio_.busy();
    }
    void wait() override {
        if (const std::error_code error = aio_.wait()) throw std::system_error(error, "write_all");
        if (waits_) completed_ = Clock::now();
    }
    Clock::time_point completed() const override { return completed_; }

private:
    static StreamPtr connect(Engine& engine, std::uint16_t port) {
        StreamPtr stream;
        Aio connecting(engine);
        tcp::connect(Endpoint::loopback(port), {}, connecting, stream);
        if (const std::error_code error = connecting.wait()) {
            throw std::system_error(error, "connect");
        }
        return stream;
    }

    std::array<char, kWritten> bytes_{};
    Clock::time_point completed_;
    EngineThread io_;
    http::Connection connection_;
    bool waits_ = false;  // for the engine
    Aio aio_{io_.engine()};
};

}  // namespace

std::unique_ptr<Writer> make_writer(std::uint16_t port) {
    return std::make_unique<UaioWriter>(port);
}

}  // namespace uaio::bench
