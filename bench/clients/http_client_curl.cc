// libcurl's multi interface with curl_multi_socket_action() over epoll(7), as libcurl-multi(3)
// advises for many connections: a finished transfer is added again and uses a kept connection.
#include "bench/clients/command.h"
#include "bench/support/loopback.h"

#include <curl/curl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

class Client {
public:
    Client(std::uint16_t port, std::size_t connections)
        : url_("http://127.0.0.1:" + std::to_string(port) + "/fixed"), multi_(curl_multi_init()) {
        curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Client::on_socket);
        curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Client::on_timer);
        curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
        for (std::size_t i = 0; i < connections; ++i)
            transfers_.push_back(make_transfer());
    }
    ~Client() {
        for (CURL* transfer : transfers_)
            curl_easy_cleanup(transfer);
        curl_multi_cleanup(multi_);
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    std::uint64_t run(Clock::time_point until) {
        std::uint64_t responses = 0;
        for (CURL* transfer : transfers_)
            begin(transfer);
        while (active_ > 0) {
            wait();
            int left = 0;
            while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
                if (message->msg != CURLMSG_DONE || message->data.result != CURLE_OK) std::abort();
                CURL* const transfer = message->easy_handle;
                curl_multi_remove_handle(multi_, transfer);
                --active_;
                ++responses;
                if (Clock::now() < until) begin(transfer);
            }
        }
        return responses;
    }

private:
    CURL* make_transfer() const {
        CURL* const transfer = curl_easy_init();
        if (!transfer) std::abort();
        curl_easy_setopt(transfer, CURLOPT_URL, url_.c_str());
        curl_easy_setopt(transfer, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(transfer, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, &Client::on_content);
        return transfer;
    }

    void begin(CURL* transfer) {
        ++active_;
        curl_multi_add_handle(multi_, transfer);
    }

    void wait() {
        std::array<epoll_event, 256> events;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(timer_ - Clock::now());
        const auto most = std::clamp<std::int64_t>(left.count(), 0, 10'000);
        const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       has_timer_ ? static_cast<int>(most) : 10'000);
        int running = 0;
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            const int flags = ((event.events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
                              ((event.events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                              ((event.events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
            curl_multi_socket_action(multi_, event.data.fd, flags, &running);
        }
        if (!has_timer_ || Clock::now() < timer_) return;
        has_timer_ = false;
        curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }

    static int on_socket(CURL*, curl_socket_t socket, int wanted, void* self, void* known) {
        Client& client = *static_cast<Client*>(self);
        const int epoll = client.epoll_.get();
        epoll_event event{};
        event.data.fd = socket;
        event.events =
            ((wanted & CURL_POLL_IN) ? EPOLLIN : 0u) | ((wanted & CURL_POLL_OUT) ? EPOLLOUT : 0u);
        if (wanted == CURL_POLL_REMOVE) return ::epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
        if (!known) curl_multi_assign(client.multi_, socket, self);
        return ::epoll_ctl(epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
    }

    static int on_timer(CURLM*, long milliseconds, void* self) {
        Client& client = *static_cast<Client*>(self);
        client.has_timer_ = milliseconds >= 0;
        client.timer_ = Clock::now() + std::chrono::milliseconds(milliseconds);
        return 0;
    }

    static std::size_t on_content(char*, std::size_t size, std::size_t count, void*) {
        return size * count;
    }

    const std::string url_;
    uaio::bench::Descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
    CURLM* multi_;
    std::vector<CURL*> transfers_;
    std::size_t active_ = 0;
    bool has_timer_ = false;
    Clock::time_point timer_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    Client client(static_cast<std::uint16_t>(std::stoul(argv[1])), std::stoull(argv[2]));
    uaio::bench::serve_commands([&](Clock::time_point until) { return client.run(until); });
}
