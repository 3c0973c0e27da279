// A server that greets and echoes and an HTTP proxy in front of it, origin.test and proxy.test,
// each over TLS or not, and the options for a Dialer or an easy connection to reach them. For one
// thread.
#pragma once

#include <uaio/dialer.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "tests/support/relay.h"
#include "tests/support/tls/authority.h"
#include "tests/support/tls/ends.h"
#include "tests/support/turns.h"

#include <memory>
#include <string>

namespace uaio {

// The names of the two sides.
inline tls::Context context_for(const char* name) {
    tls::ContextOptions options;
    options.certificates = {
        test_authority().issue({.name = name, .names = {"DNS:" + std::string(name)}})};
    return tls::Context(options);
}
inline const tls::Context& origin_context() {
    static const tls::Context context = context_for("origin.test");
    return context;
}
inline const tls::Context& proxy_context() {
    static const tls::Context context = context_for("proxy.test");
    return context;
}

// An echo server and a proxy to it, each over TLS or not.
class ProxyFixture {
public:
    // The proxy sends `early` in one write with its answer.
    ProxyFixture(Engine& engine, bool secure_target, bool secure_proxy,
                 const std::string& early = {})
        : engine_(engine) {
        Endpoint origin;
        Endpoint proxy;
        origin_ = listen(secure_target ? &origin_context() : nullptr, origin);
        proxy_ = listen(secure_proxy ? &proxy_context() : nullptr, proxy);
        spawn(engine, serve_echo(*origin_));
        spawn(engine, serve_proxy(*proxy_, origin, early));
        const std::string port = std::to_string(origin.port());
        target = (secure_target ? "tls://origin.test:" : "tcp://origin.test:") + port;
        options.proxy = (secure_proxy ? "https://proxy.test:" : "http://proxy.test:") +
                        std::to_string(proxy.port());
        options.no_proxy = "";
        options.resolve = {"origin.test:" + port + ":127.0.0.1",
                           "proxy.test:" + std::to_string(proxy.port()) + ":127.0.0.1"};
        options.tls_context = options.proxy_tls_context = tls::Context(client_options());
    }
    ~ProxyFixture() {
        stream.reset();
        origin_->close();
        proxy_->close();
        CHECK(run_until(engine_, [this] { return engine_.statistics().in_flight == 0; }));
    }

    Ended dial() {
        Dialer dialer(target, options);
        Operation connect(engine_);
        dialer.connect(connect.aio, stream, report);
        static_cast<void>(connect.aio.wait());
        return connect.ended();
    }
    bool echoes(std::size_t size) {
        const std::string out = pattern(size);
        std::string in(kGreeting.size() + size, '\0');
        Operation write(engine_, out);
        Operation read(engine_, in);
        stream->read_all(read.aio);
        stream->write_all(write.aio);
        static_cast<void>(write.aio.wait());
        static_cast<void>(read.aio.wait());
        return write.ended() == success(size) && read.ended() == success(in.size()) &&
               in == std::string(kGreeting) + out;
    }

    std::string target;
    DialOptions options;
    StreamPtr stream;
    DialReport report;

private:
    std::unique_ptr<Acceptor> listen(const tls::Context* context, Endpoint& at) {
        auto listener = std::make_unique<tcp::Listener>(engine_, Endpoint::loopback(0));
        at = listener->local_endpoint();
        if (!context) return listener;
        return std::make_unique<tls::Listener>(engine_, std::move(listener), *context);
    }

    Engine& engine_;
    std::unique_ptr<Acceptor> origin_;
    std::unique_ptr<Acceptor> proxy_;
};

}  // namespace uaio
