// nng_http_conn_write_all() and nng_aio_wait(). nng has threads of its own.
#include "bench/cross_thread/writer.h"

#include <array>
#include <stdexcept>
#include <string>

#include <nng/nng.h>
#include <nng/supplemental/http/http.h>

namespace uaio::bench {
namespace {

void check(int error, const char* call) {
    if (error != 0) throw std::runtime_error(std::string(call) + ": " + nng_strerror(error));
}

class NngWriter final : public Writer {
public:
    explicit NngWriter(std::uint16_t port) {
        check(nng_aio_alloc(&aio_, &NngWriter::on_done, this), "nng_aio_alloc");
        const std::string address = "http://127.0.0.1:" + std::to_string(port);
        check(nng_url_parse(&url_, address.c_str()), "nng_url_parse");
        check(nng_http_client_alloc(&client_, url_), "nng_http_client_alloc");
        nng_http_client_connect(client_, aio_);
        wait();
        connection_ = static_cast<nng_http_conn*>(nng_aio_get_output(aio_, 0));
        const nng_iov entry{bytes_.data(), bytes_.size()};
        check(nng_aio_set_iov(aio_, 1, &entry), "nng_aio_set_iov");
    }
    ~NngWriter() override {
        nng_aio_free(aio_);
        nng_http_conn_close(connection_);
        nng_http_client_free(client_);
        nng_url_free(url_);
    }
    NngWriter(const NngWriter&) = delete;
    NngWriter& operator=(const NngWriter&) = delete;

    void write() override { nng_http_conn_write_all(connection_, aio_); }
    void wait() override {
        nng_aio_wait(aio_);
        check(nng_aio_result(aio_), "nng_http_conn_write_all");
    }
    Clock::time_point completed() const override { return completed_; }

private:
    static void on_done(void* self) { static_cast<NngWriter*>(self)->completed_ = Clock::now(); }

    std::array<char, kWritten> bytes_{};
    Clock::time_point completed_;
    nng_aio* aio_ = nullptr;
    nng_url* url_ = nullptr;
    nng_http_client* client_ = nullptr;
    nng_http_conn* connection_ = nullptr;
};

}  // namespace

std::unique_ptr<Writer> make_writer(std::uint16_t port) {
    return std::make_unique<NngWriter>(port);
}

}  // namespace uaio::bench
