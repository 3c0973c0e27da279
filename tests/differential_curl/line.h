// The peer's end of a connection, as a script plays it: it waits for what has to come, but not for
// ever. On the row's own thread, or on another one while a driver connects; one thread at a time.
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

    // All of it, waiting for room.
    virtual void send(std::string_view bytes) = 0;
    // What has come, waiting for some; nothing if the other side has ended or reset.
    virtual std::string receive() = 0;

    // So many bytes; fewer if there is an end before.
    std::string read(std::size_t size);
    // All up to this text, and that as well.
    std::string read_until(std::string_view end);
    // What has come behind what was read, up to the end.
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
    // Takes at most so many bytes of those that have come, for a later receive(). Does not wait.
    void take(std::size_t limit = RawPeer::kEverything) { socket_.read_some(limit); }

private:
    std::size_t given_ = 0;  // of what the socket has taken
    RawPeer socket_;
};

// A listening socket's next connection, waiting for it. Throws if none comes.
std::unique_ptr<SocketLine> accept_line(int listener);

// A listening unix socket in a folder of its own, which goes with it.
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

// A port of 127.0.0.1 that refuses, and that nobody else gets meanwhile.
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

// Plays `script` on a thread of its own while `work` is done on this one; what the script returns.
template <class Script, class Work>
auto meanwhile(Script script, Work work) {
    auto result = std::async(std::launch::async, script);
    work();
    return result.get();
}

// Bytes as two digits each, with blanks between.
std::string hexadecimal(std::string_view bytes);

}  // namespace uaio
