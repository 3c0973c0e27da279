// The works that write 64 bytes: in 1, 8 or 64 buffers, one write at a time; in 8 buffers with 16
// writes in flight, which the library gathers; and by easy::Connection::try_send().
#include <uaio/easy.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "bench/instructions/peer_sockets.h"
#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"
#include "bench/peers/raw_ring.h"

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace uaio::bench {
namespace {

constexpr std::size_t kBytes = sizeof(Message);
constexpr unsigned kQueued = 16;
constexpr std::size_t kQueuedEntries = 8;

std::vector<iovec> vector_of(std::size_t entries) {
    static Message message{};
    std::vector<iovec> vector;
    for (std::size_t i = 0; i < entries; ++i)
        vector.push_back({message.data() + i * kBytes / entries, kBytes / entries});
    return vector;
}

void check(std::error_code error, const char* call) {
    if (error) throw std::system_error(error, call);
}

StreamPtr connect(Engine& engine, std::uint16_t port) {
    StreamPtr stream;
    Aio connecting(engine);
    tcp::connect(Endpoint::loopback(port), {}, connecting, stream);
    check(connecting.wait(), "connect");
    return stream;
}

// Writes on one connection; the callback of each write submits the next.
class Writer {
public:
    explicit Writer(Control& control) : connection_(connect(engine_, control.receive_port())) {}

    void run(Batches batches, unsigned depth, std::span<const iovec> vector) {
        batches_ = &batches;
        for (unsigned i = 0; i < depth; ++i) {
            aios_.push_back(std::make_unique<Aio>(engine_, [this](Aio& aio) { on_done(aio); }));
            check(aios_.back()->set_iov(vector), "set_iov");
            connection_.write_all(*aios_.back());
        }
        engine_.run();
        check(error_, "write_all");
    }

private:
    void on_done(Aio& aio) {
        if (aio.result()) error_ = aio.result();
        if (error_ || !batches_->count()) return engine_.stop();
        connection_.write_all(aio);
    }

    Engine engine_{on_io_uring()};
    http::Connection connection_;
    Batches* batches_ = nullptr;
    std::error_code error_;
    std::vector<std::unique_ptr<Aio>> aios_;
};

// Sends messages of `vector` one after another, each of which is several operations.
void send_by_ring(Control& control, std::uint64_t count, std::vector<iovec> vector,
                  std::uint64_t operations) {
    const Descriptor socket = connect_to(control.receive_port());
    RawRing ring;
    Batches batches(control, kWrites, count);
    msghdr message{};
    message.msg_iov = vector.data();
    message.msg_iovlen = vector.size();
    do {
        io_uring_sqe* const sqe = ring.next();
        io_uring_prep_sendmsg(sqe, socket.get(), &message, MSG_WAITALL | MSG_NOSIGNAL);
        io_uring_submit_and_wait(ring.get(), 1);
        io_uring_cqe* cqe = nullptr;
        if (io_uring_wait_cqe(ring.get(), &cqe) != 0 ||
            cqe->res != static_cast<int>(operations * kBytes)) {
            throw std::runtime_error("sendmsg");
        }
        io_uring_cqe_seen(ring.get(), cqe);
    } while (batches.count(operations));
}

}  // namespace

template <std::size_t kEntries>
void write_all(Control& control, std::uint64_t count) {
    Writer(control).run({control, kWrites, count}, 1, vector_of(kEntries));
}

template <std::size_t kEntries>
void write_all_floor(Control& control, std::uint64_t count) {
    send_by_ring(control, count, vector_of(kEntries), 1);
}

template void write_all<1>(Control&, std::uint64_t);
template void write_all<8>(Control&, std::uint64_t);
template void write_all<64>(Control&, std::uint64_t);
template void write_all_floor<1>(Control&, std::uint64_t);
template void write_all_floor<8>(Control&, std::uint64_t);
template void write_all_floor<64>(Control&, std::uint64_t);

void write_all_queued(Control& control, std::uint64_t count) {
    Writer(control).run({control, kWrites, count}, kQueued, vector_of(kQueuedEntries));
}

// Gathers as many writes as the library does: 64 entries.
void write_all_queued_floor(Control& control, std::uint64_t count) {
    constexpr std::uint64_t kTogether = 8;
    std::vector<iovec> vector;
    for (std::uint64_t i = 0; i < kTogether; ++i) {
        for (const iovec& entry : vector_of(kQueuedEntries))
            vector.push_back(entry);
    }
    send_by_ring(control, count, std::move(vector), kTogether);
}

void easy_send(Control& control, std::uint64_t count) {
    const Message message{};
    Engine engine(on_io_uring());
    easy::Connection connection(engine);
    Aio connecting(engine);
    const std::string url = "tcp://127.0.0.1:" + std::to_string(control.receive_port());
    connection.connect(url, {.proxy = ""}, connecting);
    check(connecting.wait(), "connect");
    Batches batches(control, kWrites, count);
    do {
        const auto [error, sent] = connection.try_send(std::as_bytes(std::span(message)));
        check(error, "try_send");
        if (sent != kBytes) throw std::runtime_error("a short send");
    } while (batches.count());
}

void easy_send_floor(Control& control, std::uint64_t count) {
    const Message message{};
    const Descriptor socket = connect_to(control.receive_port());
    Batches batches(control, kWrites, count);
    do {
        if (::send(socket.get(), message.data(), kBytes, MSG_DONTWAIT | MSG_NOSIGNAL) !=
            static_cast<ssize_t>(kBytes)) {
            throw std::system_error(errno, std::system_category(), "send");
        }
    } while (batches.count());
}

void discard_peer(Control& control, std::uint64_t count) {
    const Listening listening;
    control.send_port(listening.port());
    const Descriptor socket = listening.accept();
    for (std::uint64_t left = count; left > 0; left -= kWrites) {
        receive(socket.get(), kWrites * kBytes);
        if (left == kWrites) break;
        control.wait();
        control.signal();
    }
}

}  // namespace uaio::bench
