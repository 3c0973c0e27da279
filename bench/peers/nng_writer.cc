#include "bench/peers/nng_writer.h"

#if UAIO_BENCH_NNG

#include "bench/support/loopback.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <nng/nng.h>
#include <nng/supplemental/http/http.h>

namespace uaio::bench {
namespace {

void check(int error, const char* call) {
    if (error != 0) throw std::runtime_error(std::string(call) + ": " + nng_strerror(error));
}

void set_iov(nng_aio* aio, std::span<const iovec> buffers) {
    std::vector<nng_iov> entries;
    for (const iovec& entry : buffers)
        entries.push_back({entry.iov_base, entry.iov_len});
    check(nng_aio_set_iov(aio, static_cast<unsigned>(entries.size()), entries.data()),
          "nng_aio_set_iov");
}

std::uint16_t port_of(const sockaddr_in& address) {
    return address.sin_family == AF_INET ? address.sin_port : 0;
}

// Descriptors are small numbers; this process has far fewer.
constexpr int kDescriptorsMax = 4096;

int find_socket(std::uint16_t port) {
    for (int fd = 0; fd < kDescriptorsMax; ++fd) {
        sockaddr_in local{};
        socklen_t size = sizeof local;
        const int result = ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
        if (result == 0 && port_of(local) == port) return fd;
    }
    throw std::runtime_error("nng's socket was not found among the descriptors");
}

}  // namespace

struct NngWriter::Operation {
    explicit Operation(NngWriter& owner) : writer(owner) {
        const auto call = [](void* self) {
            Operation& operation = *static_cast<Operation*>(self);
            operation.writer.on_done(operation);
        };
        check(nng_aio_alloc(&aio, call, this), "nng_aio_alloc");
    }
    ~Operation() { nng_aio_free(aio); }

    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    NngWriter& writer;
    nng_aio* aio = nullptr;
};

NngWriter::NngWriter(std::uint16_t port, unsigned depth, std::span<const iovec> buffers) {
    const std::string address = "http://127.0.0.1:" + std::to_string(port);
    check(nng_url_parse(&url_, address.c_str()), "nng_url_parse");
    check(nng_http_client_alloc(&client_, url_), "nng_http_client_alloc");
    nng_aio* connecting = nullptr;
    check(nng_aio_alloc(&connecting, nullptr, nullptr), "nng_aio_alloc");
    nng_http_client_connect(client_, connecting);
    nng_aio_wait(connecting);
    const int error = nng_aio_result(connecting);
    if (error == 0) connection_ = static_cast<nng_http_conn*>(nng_aio_get_output(connecting, 0));
    nng_aio_free(connecting);
    check(error, "nng_http_client_connect");

    check(nng_aio_alloc(&waited_, nullptr, nullptr), "nng_aio_alloc");
    set_iov(waited_, buffers);
    for (unsigned i = 0; i < depth; ++i) {
        operations_.push_back(std::make_unique<Operation>(*this));
        set_iov(operations_.back()->aio, buffers);
    }
}

NngWriter::~NngWriter() {
    operations_.clear();
    nng_aio_free(waited_);
    if (connection_) nng_http_conn_close(connection_);
    if (client_) nng_http_client_free(client_);
    if (url_) nng_url_free(url_);
}

void NngWriter::set_no_delay(int peer) {
    sockaddr_in remote{};
    socklen_t size = sizeof remote;
    if (::getpeername(peer, reinterpret_cast<sockaddr*>(&remote), &size) != 0) {
        throw std::runtime_error("getpeername");
    }
    bench::set_no_delay(find_socket(port_of(remote)));
}

void NngWriter::write(std::uint64_t count) {
    const auto writes = static_cast<std::int64_t>(count);
    const auto first =
        std::min<std::int64_t>(writes, static_cast<std::int64_t>(operations_.size()));
    to_submit_ = writes - first;
    to_finish_ = writes;
    for (std::int64_t i = 0; i < first; ++i) {
        nng_http_conn_write_all(connection_, operations_[static_cast<std::size_t>(i)]->aio);
    }
    {
        std::unique_lock lock(mutex_);
        finished_.wait(lock, [this] { return to_finish_ == 0 || error_ != 0; });
    }
    check(error_, "nng_http_conn_write_all");
    // The last callbacks may not have returned yet.
    for (const std::unique_ptr<Operation>& operation : operations_)
        nng_aio_wait(operation->aio);
}

void NngWriter::write_waiting(std::uint64_t count) {
    while (count-- > 0) {
        nng_http_conn_write_all(connection_, waited_);
        nng_aio_wait(waited_);
        check(nng_aio_result(waited_), "nng_http_conn_write_all");
    }
}

void NngWriter::on_done(Operation& operation) {
    if (const int error = nng_aio_result(operation.aio)) error_ = error;
    const bool last = --to_finish_ == 0;
    if (last || error_ != 0) {
        const std::lock_guard lock(mutex_);
        finished_.notify_one();
    } else if (--to_submit_ >= 0) {
        nng_http_conn_write_all(connection_, operation.aio);
    }
}

}  // namespace uaio::bench

#endif
