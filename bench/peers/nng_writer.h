// nng_http_conn_write_all of Debian's libnng, chained in callbacks: the peer that write_all() is a
// successor of. Its callbacks run on threads of nng's own; members are for the benchmark's thread.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

struct nng_aio;
struct nng_url;
struct nng_http_client;
struct nng_http_conn;

namespace uaio::bench {

class NngWriter {
public:
    // Connects by nng_http_client_connect to 127.0.0.1; write() queues `depth` operations at a
    // time. All write `vector`. Throws std::runtime_error with nng's words.
    NngWriter(std::uint16_t port, unsigned depth, std::span<const iovec> vector);
    ~NngWriter();

    // Sets TCP_NODELAY, which nng switches off and offers no way to switch on, on the connection
    // whose other end is `peer`.
    void set_no_delay(int peer);

    // Writes the vector `count` times.
    void write(std::uint64_t count);

    // The same, waiting for each one (nng_aio_wait) before the next.
    void write_waiting(std::uint64_t count);

private:
    struct Operation;

    void on_done(Operation& operation);

    nng_url* url_ = nullptr;
    nng_http_client* client_ = nullptr;
    nng_http_conn* connection_ = nullptr;
    std::vector<std::unique_ptr<Operation>> operations_;
    nng_aio* waited_ = nullptr;  // has no callback

    std::atomic<std::int64_t> to_submit_{0};
    std::atomic<std::int64_t> to_finish_{0};
    std::atomic<int> error_{0};
    std::mutex mutex_;
    std::condition_variable finished_;
};

}  // namespace uaio::bench
