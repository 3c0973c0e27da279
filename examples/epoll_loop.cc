// An engine in a foreign event loop, here plain epoll(7): the loop watches Engine::fd() beside its
// other descriptors, and calls run_once(0) when it is readable. With libuv, watch it with a
// uv_poll_t; with asio, wait for reading on a posix::stream_descriptor.
#include <uaio/engine.h>
#include <uaio/tcp.h>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace {

constexpr std::string_view kMessage = "through the application's loop\n";
constexpr int kMessages = 100;

// Both ends of a connection: one writes messages, the other reads them.
class Conversation {
public:
    explicit Conversation(uaio::Engine& engine)
        : listener_(engine, uaio::Endpoint::loopback(0)),
          near_aio_(engine, [this](uaio::Aio& done) { near_ready(done); }),
          far_aio_(engine, [this](uaio::Aio& done) { far_ready(done); }) {
        near_aio_.set_iov(kMessage.data(), kMessage.size());
        far_aio_.set_iov(buffer_.data(), buffer_.size());
        listener_.accept(near_aio_, near_);
        uaio::tcp::connect(listener_.local_endpoint(), {}, far_aio_, far_);
    }

    bool over() const { return failed_ || received_ == kMessages; }
    bool failed() const { return failed_; }
    int received() const { return received_; }

private:
    // Connected, or the last message is written.
    void near_ready(uaio::Aio& done) {
        failed_ |= static_cast<bool>(done.result());
        if (!failed_ && sent_++ < kMessages) near_->write_all(done);
    }

    // Accepted, or a message has arrived.
    void far_ready(uaio::Aio& done) {
        failed_ |= static_cast<bool>(done.result());
        received_ += done.count() == kMessage.size();
        if (!over()) far_->read_all(done);
    }

    uaio::tcp::Listener listener_;
    uaio::StreamPtr near_;
    uaio::StreamPtr far_;
    std::array<char, kMessage.size()> buffer_;
    int sent_ = 0;
    int received_ = 0;
    bool failed_ = false;
    uaio::Aio near_aio_;
    uaio::Aio far_aio_;
};

void watch(int loop, int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    ::epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event);
}

}  // namespace

int main() {
    uaio::Engine engine;
    Conversation conversation(engine);

    // The loop's other work: a tick every millisecond.
    const int ticker = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    const itimerspec every{{0, 1'000'000}, {0, 1'000'000}};
    ::timerfd_settime(ticker, 0, &every, nullptr);
    std::uint64_t ticks = 0;
    const int loop = ::epoll_create1(EPOLL_CLOEXEC);
    watch(loop, ticker);
    watch(loop, engine.fd());
    while (!conversation.over() || ticks < 3) {
        epoll_event ready[8];
        const int count = ::epoll_wait(loop, ready, 8, -1);
        for (int i = 0; i < count; ++i) {
            if (ready[i].data.fd == engine.fd()) {
                engine.run_once(std::chrono::nanoseconds::zero());  // never blocks the loop
            } else {
                std::uint64_t expired = 0;
                if (::read(ticker, &expired, sizeof expired) > 0) ticks += expired;
            }
        }
    }
    ::close(ticker);
    ::close(loop);
    std::printf("%d messages, %ju ticks\n", conversation.received(), std::uintmax_t{ticks});
    return conversation.failed() ? 1 : 0;
}
