#include "bench/instructions/raw_server.h"

#include <stdexcept>

namespace uaio::bench {
namespace {

constexpr std::uintptr_t kStepMask = 7;

template <class Step>
void mark(io_uring_sqe* sqe, Step step, const void* connection) {
    sqe->user_data =
        reinterpret_cast<std::uintptr_t>(connection) | static_cast<std::uintptr_t>(step);
}

void require(bool expected) {
    if (!expected) throw std::runtime_error("a transfer of another size, or an error");
}

}  // namespace

void RawServer::run(Control& control, std::uint64_t count) {
    Batches batches(control, kConnections * options_.requests, count);
    control.send_port(listening_.port());
    std::vector<Descriptor> sockets;
    for (std::uint64_t i = 0; i < kConnections; ++i)
        sockets.push_back(listening_.accept());
    control.wait();
    for (const Descriptor& socket : sockets)
        receive(add(socket.get()));
    loop(batches);
}

void RawServer::run_closing(Control& control, std::uint64_t count) {
    Batches batches(control, kConnections, count);
    control.send_port(listening_.port());
    closing_ = true;
    control.wait();
    accept();
    loop(batches);
}

void RawServer::loop(Batches& batches) {
    const auto handle = [&](const io_uring_cqe& cqe) { return on_completion(cqe, batches); };
    while (ring_.turn(handle))
        continue;
}

bool RawServer::on_completion(const io_uring_cqe& cqe, Batches& batches) {
    Connection& connection = *reinterpret_cast<Connection*>(cqe.user_data & ~kStepMask);
    switch (static_cast<Step>(cqe.user_data & kStepMask)) {
        case Step::accept:
            require(cqe.res >= 0 && (cqe.flags & IORING_CQE_F_MORE));
            receive(add(cqe.res));
            break;
        case Step::receive:
            if (cqe.res == 0 && closing_) {
                io_uring_sqe* const sqe = ring_.next();
                io_uring_prep_close(sqe, connection.fd);
                mark(sqe, Step::close, &connection);
                break;
            }
            require(cqe.res == static_cast<int>(options_.request));
            options_.file < 0 ? reply(connection) : send_file(connection);
            break;
        case Step::read_file:
            require(cqe.res == static_cast<int>(kFileBytes));
            reply(connection);
            break;
        case Step::send: require(cqe.res > 0); return on_sent(connection, batches);
        case Step::close: require(cqe.res == 0); break;
    }
    return true;
}

bool RawServer::on_sent(Connection& connection, Batches& batches) {
    if (options_.half_close) require(::shutdown(connection.fd, SHUT_WR) == 0);
    receive(connection);
    return batches.count(options_.requests);
}

RawServer::Connection& RawServer::add(int fd) {
    Connection& connection = connections_.at(static_cast<std::size_t>(fd));
    connection.fd = fd;
    return connection;
}

void RawServer::accept() {
    io_uring_sqe* const sqe = ring_.next();
    io_uring_prep_multishot_accept(sqe, listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    mark(sqe, Step::accept, nullptr);
}

void RawServer::receive(Connection& connection) {
    io_uring_sqe* const sqe = ring_.next();
    io_uring_prep_recv(sqe, connection.fd, connection.in.data(), connection.in.size(), 0);
    mark(sqe, Step::receive, &connection);
}

void RawServer::send_file(Connection& connection) {
    io_uring_sqe* const sqe = ring_.next();
    io_uring_prep_read(sqe, options_.file, connection.file.data(), kFileBytes, 0);
    mark(sqe, Step::read_file, &connection);
}

void RawServer::reply(Connection& connection) {
    io_uring_sqe* const sqe = ring_.next();
    if (options_.file >= 0) {
        connection.out = {{{const_cast<char*>(options_.reply.data()), options_.reply.size()},
                           {connection.file.data(), connection.file.size()}}};
        connection.message.msg_iov = connection.out.data();
        connection.message.msg_iovlen = connection.out.size();
        io_uring_prep_sendmsg(sqe, connection.fd, &connection.message, MSG_WAITALL | MSG_NOSIGNAL);
    } else {
        const char* const data =
            options_.reply.empty() ? connection.in.data() : options_.reply.data();
        const std::size_t size = options_.reply.empty() ? options_.request : options_.reply.size();
        io_uring_prep_send(sqe, connection.fd, data, size, MSG_WAITALL | MSG_NOSIGNAL);
    }
    mark(sqe, Step::send, &connection);
}

}  // namespace uaio::bench
