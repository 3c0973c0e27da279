// The echo server of raw liburing with multishot receives into a ring of provided buffers. It keeps
// no order of several blocks of one connection: a message must fit into one block.
#include "bench/peers/raw_ring.h"
#include "bench/servers/echo.h"
#include "bench/support/loopback.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <cstdlib>
#include <vector>

namespace {

constexpr unsigned kBuffers = 4096;
constexpr unsigned short kGroup = 0;

// user_data: the descriptor in the lower half, the step and the buffer in the upper half.
enum Step : std::uint64_t { accept = 1ULL << 32, receive = 2ULL << 32, send = 4ULL << 32 };
constexpr unsigned kBufferShift = 40;

class Server {
public:
    explicit Server(std::size_t bytes) : bytes_(bytes), memory_(kBuffers * bytes) {
        void* const mapped = ::mmap(nullptr, kBuffers * sizeof(io_uring_buf),
                                    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) std::abort();
        buffers_ = static_cast<io_uring_buf_ring*>(mapped);
        io_uring_buf_reg registration{};
        registration.ring_addr = reinterpret_cast<std::uintptr_t>(mapped);
        registration.ring_entries = kBuffers;
        registration.bgid = kGroup;
        if (io_uring_register_buf_ring(ring_.get(), &registration, 0) != 0) std::abort();
        for (unsigned short i = 0; i < kBuffers; ++i)
            give_back(i);
        accept_next();
        uaio::bench::announce(listening_.port());
    }

    void run() {
        while (ring_.turn([this](const io_uring_cqe& cqe) {
            on_completion(cqe);
            return true;
        })) {
        }
    }

private:
    void on_completion(const io_uring_cqe& cqe) {
        const int fd = static_cast<int>(cqe.user_data & 0xffffffff);
        if (cqe.user_data & Step::send) {
            give_back(static_cast<unsigned short>(cqe.user_data >> kBufferShift));
        } else if (cqe.user_data & Step::accept) {
            if (cqe.res >= 0) {
                uaio::bench::set_no_delay(cqe.res);
                receive_next(cqe.res);
            }
            if (!(cqe.flags & IORING_CQE_F_MORE)) accept_next();
        } else {
            on_received(fd, cqe);
        }
    }

    void on_received(int fd, const io_uring_cqe& cqe) {
        if (cqe.res > 0) {
            const auto buffer = static_cast<unsigned short>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
            io_uring_sqe* const sqe = ring_.next();
            io_uring_prep_send(sqe, fd, at(buffer), static_cast<std::size_t>(cqe.res),
                               MSG_WAITALL | MSG_NOSIGNAL);
            sqe->user_data = Step::send | static_cast<std::uint64_t>(fd) |
                             (static_cast<std::uint64_t>(buffer) << kBufferShift);
        }
        if (cqe.flags & IORING_CQE_F_MORE) return;
        if (cqe.res > 0 || cqe.res == -ENOBUFS) {
            receive_next(fd);
        } else {
            const uaio::bench::Descriptor closed(fd);
        }
    }

    void accept_next() {
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_multishot_accept(sqe, listening_.fd(), nullptr, nullptr, 0);
        sqe->user_data = Step::accept;
    }

    void receive_next(int fd) {
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = kGroup;
        sqe->user_data = Step::receive | static_cast<std::uint64_t>(fd);
    }

    char* at(unsigned short buffer) { return memory_.data() + buffer * bytes_; }

    void give_back(unsigned short buffer) {
        io_uring_buf_ring_add(buffers_, at(buffer), static_cast<unsigned>(bytes_), buffer,
                              io_uring_buf_ring_mask(kBuffers), 0);
        io_uring_buf_ring_advance(buffers_, 1);
    }

    const std::size_t bytes_;
    std::vector<char> memory_;
    const uaio::bench::Listening listening_;
    uaio::bench::RawRing ring_;
    io_uring_buf_ring* buffers_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
    Server server(uaio::bench::prepare(argc, argv));
    server.run();
}
