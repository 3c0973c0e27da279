// The peer's end of a connection, for a script: it waits for expected bytes, up to a timeout. On
// the row's own thread, or on another one while a driver connects; one thread at a time.
#pragma once

#include "tests/support/raw_peer.h"
#include "tests/support/temporary_folder.h"

#include <future>
#include <memory>
#include <string>
#include <string_view>

namespace uaio {

class Line {
public:
    virtual ~Line() = default;

    // Sends all of it, waiting for room.
    virtual void send(std::string_view bytes) = 0;
    // The bytes that have arrived, waiting for some; empty if the other side has ended or reset.
    virtual std::string receive() = 0;

    // Reads `size` bytes; fewer if the stream ends before.
    std::string read(std::size_t size);
    // Reads up to this text, and the text too.
    std::string read_until(std::string_view end);
    // The unread bytes, up to the end.
    std::string read_to_end();

private:
    std::string received_;  // and not yet read
};

class SocketLine final : public Line {
public:
    explicit SocketLine(RawPeer socket) : socket_(std::move(socket)) {}

    void send(std::string_view bytes) override;
    std::string receive() override;
    RawPeer& socket() { return socket_; }
    // Stores at most `limit` arrived bytes for a later receive(). Does not wait.
    void take(std::size_t limit = RawPeer::kEverything) { socket_.read_some(limit); }

private:
    std::size_t given_ = 0;  // of the socket's stored bytes
    RawPeer socket_;
};

// Accepts a listening socket's next connection. Throws if none arrives.
std::unique_ptr<SocketLine> accept_line(int listener);

// A listening unix socket in its own folder, which is removed with it.
class UnixListener {
public:
    UnixListener();
    ~UnixListener();
    UnixListener(const UnixListener&) = delete;
    UnixListener& operator=(const UnixListener&) = delete;

    int fd() const { return fd_; }
    const std::string& path() const { return path_; }

private:
    TemporaryFolder folder_;
    std::string path_ = folder_.at("socket");
    int fd_;
};

// A reserved port of 127.0.0.1 that refuses connections.
class DeadPort {
public:
    DeadPort();
    ~DeadPort();
    DeadPort(const DeadPort&) = delete;
    DeadPort& operator=(const DeadPort&) = delete;

    std::string place() const { return endpoint_.to_string(); }

private:
    int fd_;
    Endpoint endpoint_;
};

// Runs `script` on its own thread and `work` on this one; returns the script's result.
template <class Script, class Work>
auto meanwhile(Script script, Work work) {
    auto result = std::async(std::launch::async, script);
    work();
    return result.get();
}

// Bytes as two hexadecimal digits each, separated by spaces.
std::string hexadecimal(std::string_view bytes);

}  // namespace uaio
