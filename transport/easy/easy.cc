#include <uaio/easy.h>

#include "transport/easy/easy_core.h"

namespace uaio::easy {

Connection::Connection(Engine& engine) {
    EngineCore::of(engine).require_thread();
    core_ = new ConnectionCore(engine);
}

Connection::~Connection() { core_->release(); }

void Connection::connect(std::string_view url, const Options& options, Aio& aio) noexcept {
    core_->connect(url, options, aio);
}

void Connection::send(Aio& aio) noexcept { core_->run<&Stream::write>(aio); }
void Connection::send_all(Aio& aio) noexcept { core_->run<&Stream::write_all>(aio); }
void Connection::receive(Aio& aio) noexcept { core_->run<&Stream::read>(aio); }
void Connection::receive_all(Aio& aio) noexcept { core_->run<&Stream::read_all>(aio); }

Transferred Connection::try_send(std::span<const std::byte> bytes) noexcept {
    return core_->try_send(bytes);
}

Transferred Connection::try_receive(std::span<std::byte> bytes) noexcept {
    return core_->try_receive(bytes);
}

void Connection::wait_for(Direction direction, Aio& aio) noexcept {
    core_->wait_for(direction, aio);
}

int Connection::native_handle() const noexcept { return core_->native_handle(); }

Timings Connection::timings() const noexcept {
    const DialReport& report = core_->report();
    return {report.resolve, report.connect, report.proxy, report.tls};
}

const DialReport& Connection::report() const noexcept { return core_->report(); }

void Connection::close() noexcept { core_->close_connection(); }

}  // namespace uaio::easy
