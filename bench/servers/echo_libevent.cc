// The echo server of libevent, with persistent events and plain recv and send, which cost less than
// its bufferevents. The base has no locks and batches changes to its epoll set.
#include "bench/servers/echo.h"
#include "bench/support/loopback.h"

#include <event2/event.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

using uaio::bench::Descriptor;

class Connection {
public:
    Connection(event_base* base, Descriptor socket, std::size_t bytes)
        : socket_(std::move(socket)), buffer_(bytes) {
        const int fd = socket_.get();
        readable_ = event_new(base, fd, EV_READ | EV_PERSIST, &Connection::on_readable, this);
        writable_ = event_new(base, fd, EV_WRITE | EV_PERSIST, &Connection::on_writable, this);
        if (!readable_ || !writable_ || event_add(readable_, nullptr) != 0) std::abort();
    }
    ~Connection() {
        event_free(readable_);
        event_free(writable_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

private:
    static void on_readable(int fd, short, void* self) {
        Connection& connection = *static_cast<Connection*>(self);
        const ssize_t got =
            ::recv(fd, connection.buffer_.data(), connection.buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            delete &connection;
            return;
        }
        connection.begin_ = 0;
        connection.end_ = static_cast<std::size_t>(got);
        connection.send_rest(false);
    }

    static void on_writable(int, short, void* self) {
        static_cast<Connection*>(self)->send_rest(true);
    }

    void send_rest(bool was_full) {
        while (begin_ < end_) {
            const ssize_t sent = ::send(socket_.get(), buffer_.data() + begin_, end_ - begin_,
                                        MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                if (was_full) return;
                event_del(readable_);
                event_add(writable_, nullptr);
                return;
            }
            if (sent < 0) {
                delete this;
                return;
            }
            begin_ += static_cast<std::size_t>(sent);
        }
        if (!was_full) return;
        event_del(writable_);
        event_add(readable_, nullptr);
    }

    Descriptor socket_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;  // of the bytes still to send, up to `end_`
    std::size_t end_ = 0;
    event* readable_ = nullptr;
    event* writable_ = nullptr;
};

struct Server {
    const uaio::bench::Listening listening;
    event_base* base = nullptr;
    std::size_t bytes = 0;
};

void on_connection(int, short, void* self) {
    const Server& server = *static_cast<Server*>(self);
    new Connection(server.base, server.listening.accept(), server.bytes);
}

}  // namespace

int main(int argc, char** argv) {
    Server server;
    server.bytes = uaio::bench::prepare(argc, argv);
    event_config* const options = event_config_new();
    event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(options, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    server.base = event_base_new_with_config(options);
    event* const incoming = event_new(server.base, server.listening.fd(), EV_READ | EV_PERSIST,
                                      &on_connection, &server);
    if (!incoming || event_add(incoming, nullptr) != 0) return 1;
    uaio::bench::announce(server.listening.port());
    return event_base_dispatch(server.base);
}
