// Streams that echo every message, one Aio a stream, as in examples/echo_server.cc. One thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/stream.h>

#include "bench/instructions/works.h"

#include <memory>
#include <vector>

namespace uaio::bench {

// Accepts kConnections connections; runs the engine meanwhile. Throws the error of an accept.
std::vector<StreamPtr> accept_all(Engine& engine, Acceptor& acceptor);

class EchoServer {
public:
    EchoServer(Engine& engine, std::vector<StreamPtr> streams);

    // Echoes `count` messages, in batches of one a stream.
    void run(Control& control, std::uint64_t count);

private:
    struct Session {
        Session(EchoServer& owner, StreamPtr connected);
        void read();
        void on_read();
        void on_written();

        EchoServer& server;
        StreamPtr stream;
        Message message;
        void (Session::*next)() = nullptr;
        Aio aio;
    };

    Engine& engine_;
    Batches* batches_ = nullptr;
    std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace uaio::bench
