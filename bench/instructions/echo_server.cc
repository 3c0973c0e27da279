#include "bench/instructions/echo_server.h"

#include <system_error>
#include <utility>

namespace uaio::bench {

std::vector<StreamPtr> accept_all(Engine& engine, Acceptor& acceptor) {
    std::vector<StreamPtr> streams(kConnections);
    Aio accepting(engine);
    for (StreamPtr& stream : streams) {
        acceptor.accept(accepting, stream);
        if (accepting.wait()) throw std::system_error(accepting.result(), "accept");
    }
    return streams;
}

EchoServer::Session::Session(EchoServer& owner, StreamPtr connected)
    : server(owner),
      stream(std::move(connected)),
      aio(owner.engine_, [this](Aio&) { (this->*next)(); }) {}

void EchoServer::Session::read() {
    next = &Session::on_read;
    aio.set_iov(message.data(), message.size());
    stream->read(aio);
}

void EchoServer::Session::on_read() {
    if (aio.result()) return;
    next = &Session::on_written;
    aio.set_iov(message.data(), aio.count());
    stream->write_all(aio);
}

void EchoServer::Session::on_written() {
    if (aio.result()) return;
    if (!server.batches_->count()) server.engine_.stop();
    read();
}

EchoServer::EchoServer(Engine& engine, std::vector<StreamPtr> streams) : engine_(engine) {
    for (StreamPtr& stream : streams)
        sessions_.push_back(std::make_unique<Session>(*this, std::move(stream)));
}

void EchoServer::run(Control& control, std::uint64_t count) {
    Batches batches(control, sessions_.size(), count);
    batches_ = &batches;
    control.wait();
    for (const std::unique_ptr<Session>& session : sessions_)
        session->read();
    engine_.run();
}

}  // namespace uaio::bench
