// The echo server of nng's streams: a connection has one nng_aio. nng runs its own threads.
#include "bench/servers/echo.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <nng/nng.h>

namespace {

void check(int error, const char* call) {
    if (error == 0) return;
    std::fprintf(stderr, "%s: %s\n", call, nng_strerror(error));
    std::exit(1);
}

// Lives until the peer closes.
class Session {
public:
    Session(nng_stream* stream, std::size_t bytes) : stream_(stream), buffer_(bytes) {
        const auto call = [](void* self) { static_cast<Session*>(self)->on_done(); };
        check(nng_aio_alloc(&aio_, call, this), "nng_aio_alloc");
        receive();
    }
    ~Session() {
        nng_aio_reap(aio_);
        nng_stream_free(stream_);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

private:
    void receive() {
        is_receiving_ = true;
        set_iov(0, buffer_.size());
        nng_stream_recv(stream_, aio_);
    }

    void on_done() {
        if (nng_aio_result(aio_) != 0) {
            delete this;
            return;
        }
        const std::size_t count = nng_aio_count(aio_);
        if (is_receiving_) {
            is_receiving_ = false;
            begin_ = 0;
            end_ = count;
        } else {
            begin_ += count;  // a send may be partial
        }
        if (begin_ == end_) return receive();
        set_iov(begin_, end_ - begin_);
        nng_stream_send(stream_, aio_);
    }

    void set_iov(std::size_t begin, std::size_t size) {
        const nng_iov entry{buffer_.data() + begin, size};
        check(nng_aio_set_iov(aio_, 1, &entry), "nng_aio_set_iov");
    }

    nng_stream* stream_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool is_receiving_ = false;
    nng_aio* aio_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
    const std::size_t bytes = uaio::bench::prepare(argc, argv);
    nng_stream_listener* listener = nullptr;
    check(nng_stream_listener_alloc(&listener, "tcp://127.0.0.1:0"), "nng_stream_listener_alloc");
    check(nng_stream_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true), "TCP_NODELAY");
    check(nng_stream_listener_listen(listener), "nng_stream_listener_listen");
    int port = 0;
    check(nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "bound port");
    uaio::bench::announce(static_cast<unsigned>(port));
    nng_aio* accepting = nullptr;
    check(nng_aio_alloc(&accepting, nullptr, nullptr), "nng_aio_alloc");
    for (;;) {
        nng_stream_listener_accept(listener, accepting);
        nng_aio_wait(accepting);
        check(nng_aio_result(accepting), "accept");
        new Session(static_cast<nng_stream*>(nng_aio_get_output(accepting, 0)), bytes);
    }
}
