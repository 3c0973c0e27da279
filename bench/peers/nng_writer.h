// nng_http_conn_write_all of Debian's libnng, chained in callbacks: the function that write_all()
// succeeds. Its callbacks run on nng's threads; members are for the benchmark's thread.
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
    // Connects to 127.0.0.1 with nng_http_client_connect; write() keeps `depth` operations queued.
    // All write `buffers`. Throws std::runtime_error with nng's message.
    NngWriter(std::uint16_t port, unsigned depth, std::span<const iovec> buffers);
    ~NngWriter();

    // Sets TCP_NODELAY on the connection whose other end is `peer`: nng clears it and has no option
    // to set it.
    void set_no_delay(int peer);

    // Writes the buffers `count` times.
    void write(std::uint64_t count);

    // The same, but waits for each one (nng_aio_wait) before the next.
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
