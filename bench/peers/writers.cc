#include "bench/peers/writers.h"

#include <sys/socket.h>

#include <cerrno>
#include <numeric>
#include <system_error>

namespace uaio::bench {
namespace {

std::size_t total(std::span<const iovec> buffers) {
    return std::accumulate(buffers.begin(), buffers.end(), std::size_t{0},
                           [](std::size_t sum, const iovec& entry) { return sum + entry.iov_len; });
}

// Writes all of `buffers` with `write`, which returns the bytes written; `rest` holds the remainder
// of a short write. Most writes are complete and never use `rest`.
template <class Write>
void write_whole(std::vector<iovec>& buffers, std::size_t size, std::vector<iovec>& rest,
                 Write write) {
    std::size_t written = write(std::span<iovec>(buffers));
    if (written == size) [[likely]]
        return;
    rest = buffers;
    std::span<iovec> left(rest);
    for (;;) {
        while (!left.empty() && written >= left.front().iov_len) {
            written -= left.front().iov_len;
            left = left.subspan(1);
        }
        if (left.empty()) return;
        left.front().iov_base = static_cast<char*>(left.front().iov_base) + written;
        left.front().iov_len -= written;
        written = write(left);
    }
}

std::size_t checked(long result, int error, const char* call) {
    if (result < 0) throw std::system_error(error, std::system_category(), call);
    return static_cast<std::size_t>(result);
}

}  // namespace

WritevWriter::WritevWriter(std::uint16_t port, std::span<const iovec> buffers)
    : socket_(connect_to(port)), buffers_(buffers.begin(), buffers.end()), rest_(buffers_) {}

void WritevWriter::run(Meter& meter) {
    const std::size_t size = total(buffers_);
    do {
        write_whole(buffers_, size, rest_, [this](std::span<iovec> left) {
            const ssize_t written =
                ::writev(socket_.get(), left.data(), static_cast<int>(left.size()));
            return checked(written, errno, "writev");
        });
    } while (meter.count());
}

SendmsgWriter::SendmsgWriter(std::uint16_t port, std::span<const iovec> buffers)
    : socket_(connect_to(port)), buffers_(buffers.begin(), buffers.end()), rest_(buffers_) {}

void SendmsgWriter::run(Meter& meter) {
    const std::size_t size = total(buffers_);
    do {
        write_whole(buffers_, size, rest_, [this](std::span<iovec> left) { return send(left); });
    } while (meter.count());
}

std::size_t SendmsgWriter::send(std::span<iovec> buffers) {
    msghdr message{};
    message.msg_iov = buffers.data();
    message.msg_iovlen = buffers.size();
    io_uring_prep_sendmsg(ring_.next(), socket_.get(), &message, MSG_WAITALL | MSG_NOSIGNAL);
    io_uring_cqe* cqe = nullptr;
    io_uring_submit_and_wait(ring_.get(), 1);
    int result = io_uring_wait_cqe(ring_.get(), &cqe);
    if (result == 0) {
        result = cqe->res;
        io_uring_cqe_seen(ring_.get(), cqe);
    }
    return checked(result, -result, "sendmsg");
}

}  // namespace uaio::bench
