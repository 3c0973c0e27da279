// The floor of the works of a server: a raw liburing loop that receives requests of a known size,
// which it does not look at, and sends the same bytes back, or always the same reply. One thread.
#pragma once

#include "bench/instructions/works.h"
#include "bench/peers/raw_ring.h"
#include "bench/support/loopback.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <string_view>
#include <vector>

namespace uaio::bench {

class RawServer {
public:
    static constexpr std::size_t kFileBytes = 4096;

    struct Options {
        std::size_t request = 0;      // bytes that a connection sends in a batch
        std::string_view reply = {};  // to these; empty: the same bytes
        std::uint64_t requests = 1;   // operations that these are
        int file = -1;                // kFileBytes of it are read and sent behind the reply
        bool half_close = false;      // shutdown(2) after the reply, as the library does
    };

    explicit RawServer(const Options& options) : options_(options) {}

    // Serves kConnections connections.
    void run(Control& control, std::uint64_t count);
    // Serves connections of one request each.
    void run_closing(Control& control, std::uint64_t count);

private:
    enum class Step : std::uintptr_t { accept, receive, read_file, send, close };

    struct alignas(64) Connection {
        int fd = -1;
        std::array<char, 2048> in;
        std::array<char, kFileBytes> file;
        std::array<iovec, 2> out;
        msghdr message{};
    };

    // Handles completions up to the last operation of the last batch.
    void loop(Batches& batches);
    bool on_completion(const io_uring_cqe& cqe, Batches& batches);
    bool on_sent(Connection& connection, Batches& batches);
    Connection& add(int fd);
    void accept();
    void receive(Connection& connection);
    void reply(Connection& connection);
    void send_file(Connection& connection);

    const Options options_;
    const Listening listening_;
    RawRing ring_;
    std::vector<Connection> connections_{1024};  // by descriptor
    bool closing_ = false;
};

}  // namespace uaio::bench
