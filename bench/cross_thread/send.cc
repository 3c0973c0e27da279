// A blocking send(2): the floor. It completes in the call.
#include "bench/cross_thread/writer.h"
#include "bench/support/loopback.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace uaio::bench {
namespace {

class SendWriter final : public Writer {
public:
    explicit SendWriter(std::uint16_t port) : socket_(connect_to(port)) {}

    void write() override {
        if (::send(socket_.get(), bytes_.data(), bytes_.size(), MSG_NOSIGNAL) < 0) {
            throw std::system_error(errno, std::system_category(), "send");
        }
        completed_ = Clock::now();
    }
    void wait() override {}
    Clock::time_point completed() const override { return completed_; }

private:
    std::array<char, kWritten> bytes_{};
    Clock::time_point completed_;
    Descriptor socket_;
};

}  // namespace

std::unique_ptr<Writer> make_writer(std::uint16_t port) {
    return std::make_unique<SendWriter>(port);
}

}  // namespace uaio::bench
