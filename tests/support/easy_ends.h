// An easy connection and its peer: an engine that this thread runs, a connected easy::Connection on
// it, and another end that the test drives, over real sockets or those of a simulated kernel. For
// one thread.
#pragma once

#include <uaio/easy.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/far_end.h"
#include "tests/support/kernels.h"
#include "tests/support/turns.h"

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio {

// Accepts easy connections, one at a time.
class EasyPlace {
public:
    // On a path in the abstract namespace, or on a loopback port. A receive buffer of 0 is the
    // system's default; a simulated kernel has its own.
    EasyPlace(SimKernel* kernel, bool unix_socket, int receive_buffer = 0);
    ~EasyPlace();
    EasyPlace(const EasyPlace&) = delete;
    EasyPlace& operator=(const EasyPlace&) = delete;

    const std::string& url() const { return url_; }
    // No environment; connects by the path.
    easy::Options options() const;
    // The other end of the latest connection, which must exist.
    FarEnd accept();
    // Connections that were made and not accepted; on a simulated kernel only.
    std::size_t waiting() const { return arrived_.size(); }

private:
    SimKernel* kernel_;
    int listener_ = -1;
    std::string url_ = "tcp://127.0.0.1:9";
    std::string path_;
    std::vector<SimPeer*> arrived_;
};

class EasyEnds {
public:
    // More than small_buffers() hold, so that a send of it is blocked until the peer reads.
    static constexpr std::size_t kBlocking = 1 << 20;

    explicit EasyEnds(KernelKind kind, bool unix_socket = false, easy::Options options = {},
                      int receive_buffer = 0);
    // Over TCP.
    static EasyEnds small_buffers(KernelKind kind);

    Engine& engine() { return *engine_; }
    EasyPlace& place() { return *place_; }
    const easy::Options& options() const { return options_; }
    easy::Connection& connection() { return *connection_; }
    void drop_connection() { connection_.reset(); }
    FarEnd& peer() { return *peer_; }

    // Connects again, and returns the result.
    Ended connect();
    void accept() { peer_.emplace(place_->accept()); }

    bool run_until(const std::function<bool()>& done) { return uaio::run_until(*engine_, done); }
    bool run_until_done(const Operation& operation) {
        return run_until([&] { return operation.done(); });
    }
    void run_some() { uaio::run_some(*engine_); }
    Ended wait_for(Direction direction);

    Transferred try_send(std::string_view bytes);
    // The result of a receive, and the bytes.
    struct Received {
        Transferred result;
        std::string bytes;
    };
    Received try_receive(std::size_t size = 1024);
    // The same, after a wait for readability.
    Received receive(std::size_t size = 1024);
    // Sends everything by repeated attempts and waits, while the peer reads.
    void send_all(std::string_view bytes);

private:
    std::optional<SimKernel> kernel_;
    std::optional<Engine> engine_;
    std::optional<EasyPlace> place_;
    easy::Options options_;
    std::optional<easy::Connection> connection_;
    std::optional<FarEnd> peer_;
};

inline Transferred transferred(std::size_t count) { return {{}, count}; }
inline Transferred refused(std::error_code error) { return {error, 0}; }
inline const Transferred kWouldBlock{Errc::operation_would_block, 0};

inline bool operator==(const Transferred& a, const Transferred& b) {
    return a.error == b.error && a.count == b.count;
}
std::ostream& operator<<(std::ostream& out, const Transferred& result);

}  // namespace uaio
