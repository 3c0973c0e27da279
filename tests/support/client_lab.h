// An http::Client and the server end of its connections, each a socket of the test. For one thread.
#pragma once

#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"
#include "tests/support/turns.h"

#include <poll.h>

#include <functional>
#include <optional>
#include <string_view>

#include <doctest/doctest.h>

namespace uaio {

// One request, its response, and how it ended.
struct Asked {
    explicit Asked(Engine& engine, std::string_view url = "http://h/")
        : request(url), end(engine) {}

    http::Request request;
    http::Response response;
    Operation end;
};

class ClientLab {
public:
    static constexpr std::string_view kEnd = "\r\n\r\n";
    static constexpr std::string_view kFive = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    explicit ClientLab(KernelKind kind, const http::ClientOptions& options = {})
        : engine_(options_on(kind)),
          connector_(listener_.endpoint()),
          client_(std::in_place, connector_, options) {}

    Engine& engine() { return engine_; }
    http::Client& client() { return *client_; }
    void drop_client() { client_.reset(); }
    void ask(Asked& asked) { client_->transact(asked.request, asked.response, asked.end.aio); }

    bool run_until(const std::function<bool()>& done) { return uaio::run_until(engine_, done); }
    // The next connection, once a request has arrived on it.
    RawPeer accept() {
        run_until([&] {
            pollfd entry{listener_.fd(), POLLIN, 0};
            return ::poll(&entry, 1, 0) == 1;
        });
        return RawPeer::accept_from(listener_.fd());
    }
    void expect(RawPeer& peer, std::string_view end) {
        REQUIRE(run_until([&] {
            peer.read_some();
            return peer.received().ends_with(end);
        }));
    }
    Ended answer(Asked& asked, RawPeer& peer, std::string_view response) {
        peer.send(response);
        REQUIRE(run_until([&] { return asked.end.done(); }));
        return asked.end.ended();
    }

private:
    RawListener listener_;
    Engine engine_;
    tcp::Connector connector_;
    std::optional<http::Client> client_;
};

}  // namespace uaio
