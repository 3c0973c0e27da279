// asio::async_write() on a socket of an io_context that another thread runs. No other thread uses
// the socket, so that it needs no strand; the wait is for an atomic flag, which costs less than the
// future of asio::use_future.
#include "bench/cross_thread/writer.h"

#include <array>
#include <atomic>
#include <system_error>
#include <thread>

#include <asio.hpp>

namespace uaio::bench {
namespace {

using asio::ip::tcp;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;

class AsioWriter final : public Writer {
public:
    explicit AsioWriter(std::uint16_t port) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
        socket_.set_option(tcp::no_delay(true));
    }
    ~AsioWriter() override {
        context_.stop();
        thread_.join();
    }
    AsioWriter(const AsioWriter&) = delete;
    AsioWriter& operator=(const AsioWriter&) = delete;

    void write() override {
        is_done_.store(false, std::memory_order_relaxed);
        asio::async_write(socket_, asio::buffer(bytes_),
                          [this](const asio::error_code& error, std::size_t) {
                              error_ = error;
                              completed_ = Clock::now();
                              is_done_.store(true, std::memory_order_release);
                              is_done_.notify_one();
                          });
    }
    void wait() override {
        is_done_.wait(false, std::memory_order_acquire);
        if (error_) throw std::system_error(error_, "async_write");
    }
    Clock::time_point completed() const override { return completed_; }

private:
    std::array<char, kWritten> bytes_{};
    Clock::time_point completed_;
    asio::error_code error_;
    std::atomic<bool> is_done_{false};
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
    Socket socket_{context_};
    std::thread thread_{[this] { context_.run(); }};
};

}  // namespace

std::unique_ptr<Writer> make_writer(std::uint16_t port) {
    return std::make_unique<AsioWriter>(port);
}

}  // namespace uaio::bench
