#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/tcp.h>

#include "tests/differential/driver.h"

#include <string.h>  // strerrorname_np

#include <algorithm>
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
        // The caller's array may go; what is sent must not depend on it.
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
    void wait() override { aio_->wait(); }
    Ending getters() override { return {name_of(aio_->result()), aio_->count()}; }

    uaio::Aio& aio() noexcept { return *aio_; }

private:
    std::optional<uaio::Aio> aio_;
};

// A sleep, written as a user would: an operation that waits for nothing but its deadline.
void start_sleep(uaio::Aio& aio) noexcept {
    uaio::provider::park(aio, [](uaio::Aio& sleeping) noexcept {
        const std::error_code reason = uaio::provider::cancel_reason(sleeping);
        uaio::provider::finish(sleeping,
                               reason == uaio::Errc::timed_out ? std::error_code() : reason);
    });
}

class UaioDriver final : public Driver {
public:
    explicit UaioDriver(const uaio::EngineOptions& options) : thread_(options) {}

    std::string connect(std::uint16_t port) override {
        connection_.reset();
        uaio::StreamPtr stream;
        uaio::Aio connected(thread_.engine());
        uaio::tcp::connect(uaio::Endpoint::loopback(port), {}, connected, stream);
        const std::error_code error = connected.wait();
        if (!error) connection_.emplace(std::move(stream));
        return name_of(error);
    }

    std::unique_ptr<Operation> make(std::shared_ptr<Record> record) override {
        return std::make_unique<UaioOperation>(thread_.engine(), std::move(record));
    }

    void submit(Verb verb, Operation& operation) override {
        uaio::Aio& aio = static_cast<UaioOperation&>(operation).aio();
        switch (verb) {
            case Verb::write_all: return connection_->write_all(aio);
            case Verb::write: return connection_->write(aio);
            case Verb::read_all: return connection_->read_all(aio);
            case Verb::read: return connection_->read(aio);
        }
    }

    void start_timer(Operation& operation, std::chrono::milliseconds time) override {
        uaio::Aio& aio = static_cast<UaioOperation&>(operation).aio();
        aio.set_deadline(thread_.engine().now() + time);
        uaio::provider::submit(thread_.engine(), aio, &start_sleep, this);
    }

    void close() override {
        if (connection_) connection_->close();
    }

private:
    uaio::EngineThread thread_;
    std::optional<uaio::http::Connection> connection_;
};

}  // namespace

std::unique_ptr<Driver> make_uaio_driver(uaio::KernelKind kind) {
    uaio::EngineOptions options;
    options.kernel = kind;
    return std::make_unique<UaioDriver>(options);
}

}  // namespace differential
