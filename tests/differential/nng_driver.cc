#include "tests/differential/driver.h"

#include <stdexcept>

#include <nng/nng.h>
#include <nng/supplemental/http/http.h>

namespace differential {
namespace {

std::string name_of(int error) {
    switch (error) {
        case 0: return "ok";
        case NNG_ECANCELED: return "canceled";
        case NNG_ECLOSED: return "closed";
        case NNG_ETIMEDOUT: return "timed_out";
        case NNG_EINVAL: return "invalid_argument";
        case NNG_ECONNRESET: return "connection_reset";
        case NNG_ECONNSHUT: return "connection_shut";
        case NNG_EPERM: return "EPERM";
        default: return nng_strerror(error);
    }
}

class NngOperation final : public Operation {
public:
    explicit NngOperation(std::shared_ptr<Record> record) : record_(std::move(record)) {
        if (nng_aio_alloc(&aio_, record_ ? &on_end : nullptr, this) != 0) throw std::bad_alloc();
    }
    ~NngOperation() override { nng_aio_free(aio_); }

    std::string set_iov(std::span<const iovec> entries) override {
        std::vector<nng_iov> converted;
        for (const iovec& entry : entries)
            converted.push_back({entry.iov_base, entry.iov_len});
        const auto size = static_cast<unsigned>(converted.size());
        const int error = nng_aio_set_iov(aio_, size, converted.data());
        // The caller's array may go; what is sent must not depend on it.
        converted.assign(converted.size(), {nullptr, 0});
        return name_of(error);
    }
    void set_timeout(std::chrono::milliseconds timeout) override {
        nng_aio_set_timeout(aio_, static_cast<nng_duration>(timeout.count()));
    }
    void cancel() override { nng_aio_cancel(aio_); }
    void abort(Reason reason) override {
        nng_aio_abort(aio_, reason == Reason::permission ? NNG_EPERM : 0);
    }
    void stop() override { nng_aio_stop(aio_); }
    void wait() override { nng_aio_wait(aio_); }
    Ending getters() override { return {name_of(nng_aio_result(aio_)), nng_aio_count(aio_)}; }

    nng_aio* aio() noexcept { return aio_; }

private:
    static void on_end(void* self) {
        const auto& operation = *static_cast<NngOperation*>(self);
        nng_aio* const aio = operation.aio_;
        operation.record_->end({name_of(nng_aio_result(aio)), nng_aio_count(aio)});
    }

    std::shared_ptr<Record> record_;
    nng_aio* aio_ = nullptr;
};

class NngDriver final : public Driver {
public:
    ~NngDriver() override {
        close();
        if (client_) nng_http_client_free(client_);
    }

    std::string connect(std::uint16_t port) override {
        close();
        if (client_) nng_http_client_free(std::exchange(client_, nullptr));
        nng_url* url = nullptr;
        const std::string text = "http://127.0.0.1:" + std::to_string(port) + "/";
        if (const int error = nng_url_parse(&url, text.c_str())) return name_of(error);
        const int error = nng_http_client_alloc(&client_, url);
        nng_url_free(url);
        if (error != 0) return name_of(error);
        NngOperation connected(nullptr);
        nng_http_client_connect(client_, connected.aio());
        connected.wait();
        connection_ = static_cast<nng_http_conn*>(nng_aio_get_output(connected.aio(), 0));
        return connected.getters().result;
    }

    std::unique_ptr<Operation> make(std::shared_ptr<Record> record) override {
        return std::make_unique<NngOperation>(std::move(record));
    }

    void submit(Verb verb, Operation& operation) override {
        nng_aio* const aio = static_cast<NngOperation&>(operation).aio();
        switch (verb) {
            case Verb::write_all: return nng_http_conn_write_all(connection_, aio);
            case Verb::write: return nng_http_conn_write(connection_, aio);
            case Verb::read_all: return nng_http_conn_read_all(connection_, aio);
            case Verb::read: return nng_http_conn_read(connection_, aio);
        }
    }

    void start_timer(Operation& operation, std::chrono::milliseconds time) override {
        nng_sleep_aio(static_cast<nng_duration>(time.count()),
                      static_cast<NngOperation&>(operation).aio());
    }

    void close() override {
        if (connection_) nng_http_conn_close(std::exchange(connection_, nullptr));
    }

private:
    nng_http_client* client_ = nullptr;
    nng_http_conn* connection_ = nullptr;
};

}  // namespace

std::unique_ptr<Driver> make_nng_driver() { return std::make_unique<NngDriver>(); }

}  // namespace differential
