#include "tests/differential/driver.h"

#include <map>
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
        case NNG_ECONNREFUSED: return "ECONNREFUSED";
        case NNG_EPROTO: return "protocol_error";
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
        // The caller may free its array; the bytes sent must not depend on it.
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

void require_ok(int error) {
    if (error != 0) throw std::runtime_error(nng_strerror(error));
}

// The client of 127.0.0.1 and a port.
class NngClient {
public:
    explicit NngClient(std::uint16_t port) {
        const std::string text = "http://127.0.0.1:" + std::to_string(port) + "/";
        require_ok(nng_url_parse(&url_, text.c_str()));
        require_ok(nng_http_client_alloc(&client_, url_));
    }
    ~NngClient() {
        if (client_) nng_http_client_free(client_);
        nng_url_free(url_);
    }
    NngClient(const NngClient&) = delete;
    NngClient& operator=(const NngClient&) = delete;

    nng_http_client* get() noexcept { return client_; }
    const nng_url* url() const noexcept { return url_; }

private:
    nng_url* url_ = nullptr;
    nng_http_client* client_ = nullptr;
};

class NngDriver final : public Driver {
public:
    NngDriver() { require_ok(nng_http_res_alloc(&response_)); }
    ~NngDriver() override {
        close();
        if (request_) nng_http_req_free(request_);
        nng_http_res_free(response_);
    }

    std::string connect(std::uint16_t port) override {
        close();
        port_ = port;
        NngOperation connected(nullptr);
        start_connect(port, connected);
        connected.wait();
        connection_ = static_cast<nng_http_conn*>(nng_aio_get_output(connected.aio(), 0));
        return connected.getters().result;
    }

    std::unique_ptr<Operation> make(std::shared_ptr<Record> record) override {
        return std::make_unique<NngOperation>(std::move(record));
    }

    void submit(Verb verb, Operation& operation) override {
        nng_aio* const aio = aio_of(operation);
        switch (verb) {
            case Verb::write_all: return nng_http_conn_write_all(connection_, aio);
            case Verb::write: return nng_http_conn_write(connection_, aio);
            case Verb::read_all: return nng_http_conn_read_all(connection_, aio);
            case Verb::read: return nng_http_conn_read(connection_, aio);
            case Verb::message: break;
        }
    }

    void start_timer(Operation& operation, std::chrono::milliseconds time) override {
        nng_sleep_aio(static_cast<nng_duration>(time.count()), aio_of(operation));
    }

    void close() override {
        if (connection_) nng_http_conn_close(std::exchange(connection_, nullptr));
    }

    void transact(std::string_view method, Operation& operation) override {
        make_request(method);
        nng_http_conn_transact(connection_, request_, response_, aio_of(operation));
    }

    void write_request(std::size_t length, Operation& operation) override {
        make_request("POST");
        const std::string text = std::to_string(length);
        require_ok(nng_http_req_set_header(request_, "Content-Length", text.c_str()));
        nng_http_conn_write_req(connection_, request_, aio_of(operation));
    }

    void read_response(Operation& operation) override {
        nng_http_conn_read_res(connection_, response_, aio_of(operation));
    }

    Reply reply() override {
        void* data = nullptr;
        std::size_t size = 0;
        nng_http_res_get_data(response_, &data, &size);
        return {nng_http_res_get_status(response_), {static_cast<const char*>(data), size}};
    }

    void start_connect(std::uint16_t port, Operation& operation) override {
        nng_http_client_connect(client(port).get(), aio_of(operation));
    }

    bool take_connection(Operation& operation) override {
        auto* const made = static_cast<nng_http_conn*>(nng_aio_get_output(aio_of(operation), 0));
        if (made) nng_http_conn_close(made);
        return made != nullptr;
    }

    void free_client() override { clients_.erase(port_); }

private:
    static nng_aio* aio_of(Operation& operation) {
        return static_cast<NngOperation&>(operation).aio();
    }

    NngClient& client(std::uint16_t port) { return clients_.try_emplace(port, port).first->second; }

    void make_request(std::string_view method) {
        if (request_) nng_http_req_free(std::exchange(request_, nullptr));
        require_ok(nng_http_req_alloc(&request_, client(port_).url()));
        require_ok(nng_http_req_set_method(request_, std::string(method).c_str()));
    }

    std::uint16_t port_ = 0;
    std::map<std::uint16_t, NngClient> clients_;
    nng_http_conn* connection_ = nullptr;
    nng_http_req* request_ = nullptr;
    nng_http_res* response_ = nullptr;
};

}  // namespace

std::unique_ptr<Driver> make_nng_driver() { return std::make_unique<NngDriver>(); }

}  // namespace differential
