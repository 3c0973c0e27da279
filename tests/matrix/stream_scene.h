// The matrix with a raw stream under test, accepted by a listener or made by an easy::Connection,
// and a peer that misbehaves. For one thread.
#pragma once

#include <uaio/easy.h>

#include "tests/matrix/scene.h"
#include "tests/support/connection_fixture.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::matrix {

const std::vector<Phase>& stream_phases(bool tls);
// A count unknown to the cell; the peer's received bytes determine it.
inline constexpr std::size_t kCounted = std::string::npos;
// The deadline of each operation.
inline constexpr nanoseconds kOperation = 10500ms;

class StreamScene {
public:
    enum class Made : unsigned char { accepted, dialled };

    StreamScene(const Transport& transport, Made made);
    ~StreamScene();

    // Runs one cell; returns the oracle's findings, or nothing.
    std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell);

private:
    // A stream and its peer.
    struct Pair {
        StreamPtr stream;
        std::unique_ptr<easy::Connection> easy;
        std::unique_ptr<ScriptedPeer> peer;

        void read_all(Aio& aio) { easy ? easy->receive_all(aio) : stream->read_all(aio); }
        void write_all(Aio& aio) { easy ? easy->send_all(aio) : stream->write_all(aio); }
        void write(Aio& aio) { easy ? easy->send(aio) : stream->write(aio); }
        void close() { easy ? easy->close() : stream->close(); }
        void destroy() {
            easy.reset();
            stream.reset();
        }
    };

    bool accept(Pair& pair);
    bool dial(Pair& pair);
    bool join(Pair& pair) { return made_ == Made::accepted ? accept(pair) : dial(pair); }
    void begin(std::string_view phase, Operation& operation);
    std::string judge(const Phase& phase, const Cell& cell, Operation& operation);
    std::string judge_other();
    std::string judge_end(nanoseconds ends);

    Scene scene_;
    const Made made_;
    std::unique_ptr<Acceptor> listener_;
    SimListener* place_ = nullptr;
    std::uint16_t port_ = 0;
    Pair victim_;
    Pair other_;
    std::size_t before_ = 0;  // bytes that the victim's peer had read
    std::string incoming_;
};

}  // namespace uaio::matrix
