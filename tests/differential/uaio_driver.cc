#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/tcp.h>

#include "tests/differential/driver.h"

#include <string.h>  // strerrorname_np

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>

namespace differential {
namespace {

std::string name_of(std::error_code error) {
    if (!error) return "ok";
    if (error.category() == std::system_category()) {
        const char* const name = ::strerrorname_np(error.value());
        return name ? name : error.message();
    }
    std::string name = error.message();
    std::replace(name.begin(), name.end(), ' ', '_');
    return name;
}

class UaioOperation final : public Operation {
public:
    UaioOperation(uaio::Engine& engine, std::shared_ptr<Record> record) {
        if (!record) {
            aio_.emplace(engine);
            return;
        }
        aio_.emplace(engine, [record](uaio::Aio& aio) {
            record->end({name_of(aio.result()), aio.count()});
        });
    }

    std::string set_iov(std::span<const iovec> entries) override {
        std::vector<iovec> mine(entries.begin(), entries.end());
        const std::string result = name_of(aio_->set_iov(mine));
        // The caller may free its array; the bytes sent must not depend on it.
        mine.assign(mine.size(), {nullptr, 0});
        return result;
    }
    void set_timeout(std::chrono::milliseconds timeout) override {
        if (timeout == kNoTimeout) return aio_->set_timeout(uaio::kNoTimeout);
        aio_->set_timeout(timeout);
    }
    void cancel() override { aio_->cancel(); }
    void abort(Reason reason) override {
        aio_->abort(reason == Reason::permission ? std::error_code(EPERM, std::system_category())
                                                 : std::error_code());
    }
    void stop() override { aio_->stop(); }
    void wait() override { static_cast<void>(aio_->wait()); }
    Ending getters() override { return {name_of(aio_->result()), aio_->count()}; }

    uaio::Aio& aio() noexcept { return *aio_; }

private:
    std::optional<uaio::Aio> aio_;
};

// A sleep as a user would write it: an operation that waits for its deadline alone.
void start_sleep(uaio::Aio& aio) noexcept {
    uaio::Provider::park(aio, [](uaio::Aio& sleeping) noexcept {
        const std::error_code reason = uaio::Provider::cancel_reason(sleeping);
        uaio::Provider::finish(sleeping,
                               reason == uaio::Errc::timed_out ? std::error_code() : reason);
    });
}

// Gives an existing stream to the first caller.
class HandOver final : public uaio::Connector {
public:
    HandOver(uaio::Engine& engine, uaio::StreamPtr stream)
        : engine_(engine), stream_(std::move(stream)) {}

    void connect(uaio::Aio& aio, uaio::StreamPtr& out) override {
        uaio::Provider::submit(
            engine_, aio,
            [](uaio::Aio& started) noexcept {
                auto& self = *static_cast<HandOver*>(uaio::Provider::owner(started));
                const bool there = self.stream_ != nullptr;
                *static_cast<uaio::StreamPtr*>(uaio::Provider::argument(started)) =
                    std::move(self.stream_);
                uaio::Provider::finish(started,
                                       there ? std::error_code() : uaio::Errc::not_connected);
            },
            this, &out);
    }

private:
    uaio::Engine& engine_;
    uaio::StreamPtr stream_;
};

class UaioDriver final : public Driver {
public:
    explicit UaioDriver(const uaio::EngineOptions& options) : thread_(options) {}

    std::string connect(std::uint16_t port) override {
        connection_.reset();
        port_ = port;
        uaio::Aio connected(thread_.engine());
        connector(port).connect(connected, stream_);
        return name_of(connected.wait());
    }

    std::unique_ptr<Operation> make(std::shared_ptr<Record> record) override {
        return std::make_unique<UaioOperation>(thread_.engine(), std::move(record));
    }

    void submit(Verb verb, Operation& operation) override {
        uaio::Aio& aio = aio_of(operation);
        switch (verb) {
            case Verb::write_all: return connection().write_all(aio);
            case Verb::write: return connection().write(aio);
            case Verb::read_all: return connection().read_all(aio);
            case Verb::read: return connection().read(aio);
            case Verb::message: break;
        }
    }

    void start_timer(Operation& operation, std::chrono::milliseconds time) override {
        uaio::Aio& aio = aio_of(operation);
        aio.set_deadline(thread_.engine().now() + time);
        uaio::Provider::submit(thread_.engine(), aio, &start_sleep, this);
    }

    void close() override {
        if (client_) return client_.reset();
        connection().close();
    }

    void transact(std::string_view method, Operation& operation) override {
        make_request(method);
        client_.emplace(hand_over_.emplace(thread_.engine(), std::move(stream_)));
        client_->transact(request_, response_, aio_of(operation));
    }

    void write_request(std::size_t length, Operation& operation) override {
        make_request("POST");
        require(request_.headers().set("Content-Length", std::to_string(length)));
        connection().write_request(request_, aio_of(operation));
    }

    void read_response(Operation& operation) override {
        connection().read_response(response_, aio_of(operation));
    }

    Reply reply() override { return {response_.status(), std::string(response_.content())}; }

    void start_connect(std::uint16_t port, Operation& operation) override {
        connector(port).connect(aio_of(operation), made_[&operation]);
    }

    bool take_connection(Operation& operation) override {
        return made_.extract(&operation).mapped() != nullptr;
    }

    void free_client() override { connectors_.erase(port_); }

private:
    static uaio::Aio& aio_of(Operation& operation) {
        return static_cast<UaioOperation&>(operation).aio();
    }

    static void require(std::error_code error) {
        if (error) throw std::system_error(error);
    }

    uaio::tcp::Connector& connector(std::uint16_t port) {
        return connectors_.try_emplace(port, uaio::Endpoint::loopback(port)).first->second;
    }

    // Of the stream, unless a client has it. Any thread.
    uaio::http::Connection& connection() {
        const std::lock_guard lock(mutex_);
        if (!connection_) connection_.emplace(std::move(stream_));
        return *connection_;
    }

    void make_request(std::string_view method) {
        require(request_.set_url("http://127.0.0.1:" + std::to_string(port_) + "/"));
        require(request_.set_method(method));
    }

    uaio::EngineThread thread_;
    std::uint16_t port_ = 0;
    std::map<std::uint16_t, uaio::tcp::Connector> connectors_;
    std::map<Operation*, uaio::StreamPtr> made_;
    uaio::StreamPtr stream_;
    std::mutex mutex_;
    std::optional<uaio::http::Connection> connection_;
    uaio::http::Request request_;
    uaio::http::Response response_;
    std::optional<HandOver> hand_over_;
    std::optional<uaio::http::Client> client_;
};

}  // namespace

std::unique_ptr<Driver> make_uaio_driver(uaio::KernelKind kind) {
    uaio::EngineOptions options;
    options.kernel = kind;
    return std::make_unique<UaioDriver>(options);
}

}  // namespace differential
