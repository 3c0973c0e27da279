#include "bench/load/exchanger.h"
#include "bench/support/loopback.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

namespace uaio::bench {
namespace {

struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

void require(bool done, const char* call) {
    if (!done) throw std::runtime_error(call);
}

class TlsExchanger final : public Exchanger {
public:
    TlsExchanger(const Exchange& exchange, std::size_t connections, OnResponse on_response);

    void begin(std::size_t index) override;
    void turn(Clock::time_point limit) override;
    std::size_t active() const noexcept override { return active_; }

private:
    struct Connection {
        Descriptor socket;
        std::unique_ptr<SSL, Free> ssl;
        std::size_t received = 0;
    };

    void connect(std::size_t index);
    void receive(std::size_t index);

    const Exchange exchange_;
    const OnResponse on_response_;
    std::unique_ptr<SSL_CTX, Free> context_;
    Descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
    std::vector<Connection> connections_;
    std::size_t active_ = 0;
    std::array<char, 16384> dropped_;
};

TlsExchanger::TlsExchanger(const Exchange& exchange, std::size_t connections,
                           OnResponse on_response)
    : exchange_(exchange),
      on_response_(std::move(on_response)),
      context_(SSL_CTX_new(TLS_client_method())),
      connections_(connections) {
    require(context_ && SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION) == 1 &&
                SSL_CTX_set_ciphersuites(context_.get(), "TLS_AES_256_GCM_SHA384") == 1,
            "SSL_CTX_new");
    for (std::size_t i = 0; i < connections; ++i)
        connect(i);
}

void TlsExchanger::connect(std::size_t index) {
    Connection& connection = connections_[index];
    connection.socket = connect_to(exchange_.port);
    connection.ssl.reset(SSL_new(context_.get()));
    const int fd = connection.socket.get();
    require(connection.ssl && SSL_set_fd(connection.ssl.get(), fd) == 1 &&
                SSL_connect(connection.ssl.get()) == 1,
            "SSL_connect");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    require(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
                ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0,
            "epoll_ctl");
}

void TlsExchanger::begin(std::size_t index) {
    Connection& connection = connections_[index];
    connection.received = 0;
    ++active_;
    const int size = static_cast<int>(exchange_.request.size());
    require(SSL_write(connection.ssl.get(), exchange_.request.data(), size) == size, "SSL_write");
}

void TlsExchanger::turn(Clock::time_point limit) {
    const auto left = std::max(limit - Clock::now(), Clock::duration::zero());
    std::array<epoll_event, 256> events;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   static_cast<int>(wait));
    for (int i = 0; i < ready; ++i)
        receive(static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64));
}

void TlsExchanger::receive(std::size_t index) {
    Connection& connection = connections_[index];
    do {
        const int count =
            SSL_read(connection.ssl.get(), dropped_.data(), static_cast<int>(dropped_.size()));
        if (count <= 0) {
            require(SSL_get_error(connection.ssl.get(), count) == SSL_ERROR_WANT_READ, "SSL_read");
            return;
        }
        connection.received += static_cast<std::size_t>(count);
    } while (connection.received < exchange_.response);
    --active_;
    on_response_(index);
}

}  // namespace

std::unique_ptr<Exchanger> tls_exchanger(const Exchange& exchange, std::size_t connections,
                                         Exchanger::OnResponse on_response) {
    return std::make_unique<TlsExchanger>(exchange, connections, std::move(on_response));
}

}  // namespace uaio::bench
