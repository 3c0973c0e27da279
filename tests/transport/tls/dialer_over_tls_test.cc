// A Dialer with real TLS: with the target, with the proxy, and one inside the other, against
// servers and a proxy that are written with the library.
#include <uaio/dialer.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "tests/support/relay.h"
#include "tests/support/tls/authority.h"
#include "tests/support/tls/ends.h"
#include "tests/support/turns.h"

#include <optional>

namespace uaio {
namespace {

using namespace std::chrono_literals;

tls::Context context_for(const char* name) {
    tls::ContextOptions options;
    options.certificates = {
        test_authority().issue({.name = name, .names = {"DNS:" + std::string(name)}})};
    return tls::Context(options);
}

// The names of the two sides.
const tls::Context& origin_context() {
    static const tls::Context context = context_for("origin.test");
    return context;
}
const tls::Context& proxy_context() {
    static const tls::Context context = context_for("proxy.test");
    return context;
}

// An echo server and a proxy to it, each inside TLS or not.
class Town {
public:
    Town(Engine& engine, bool secure_target, bool secure_proxy) : engine_(engine) {
        Endpoint origin;
        Endpoint proxy;
        origin_ = listen(secure_target ? &origin_context() : nullptr, origin);
        proxy_ = listen(secure_proxy ? &proxy_context() : nullptr, proxy);
        spawn(engine, serve_echo(*origin_));
        spawn(engine, serve_proxy(*proxy_, origin));
        const std::string port = std::to_string(origin.port());
        target = (secure_target ? "tls://origin.test:" : "tcp://origin.test:") + port;
        options.proxy = (secure_proxy ? "https://proxy.test:" : "http://proxy.test:") +
                        std::to_string(proxy.port());
        options.no_proxy = "";
        options.resolve = {"origin.test:" + port + ":127.0.0.1",
                           "proxy.test:" + std::to_string(proxy.port()) + ":127.0.0.1"};
        options.tls_context = options.proxy_tls_context = tls::Context(client_options());
    }
    ~Town() {
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
        at = listener->local();
        if (!context) return listener;
        return std::make_unique<tls::Listener>(engine_, std::move(listener), *context);
    }

    Engine& engine_;
    std::unique_ptr<Acceptor> origin_;
    std::unique_ptr<Acceptor> proxy_;
};

TEST_CASE_TEMPLATE(
    "300,000 bytes echo with TLS at the target, at the proxy, and in each other (57)", Kernel,
    OnLinux, OnPoll) {
    for (const bool secure_target : {false, true}) {
        for (const bool secure_proxy : {false, true}) {
            Engine engine(options_on(Kernel::kKind));
            Town town(engine, secure_target, secure_proxy);
            REQUIRE(town.dial() == success(0));
            CHECK(town.echoes(300'000));
            CHECK(town.report.proxy_status == 200);
            CHECK((town.report.tls > 0ns) == secure_target);
            const tls::Details details = tls::details(*town.stream);
            CHECK(details.version == (secure_target || secure_proxy ? "TLSv1.3" : ""));
        }
    }
}

TEST_CASE("TLS in TLS survives short transfers on a simulated network") {
    SimKernel kernel(11, {.short_write = 700, .short_read = 700, .reorder = 500});
    Engine engine(kernel);
    Town town(engine, true, true);
    REQUIRE(town.dial() == success(0));
    CHECK(town.echoes(50'000));
}

TEST_CASE("a certificate for another name is refused, the target's and the proxy's (42)") {
    SimKernel kernel(1);
    Engine engine(kernel);
    {
        Town town(engine, true, true);
        town.options.tls_context = tls::Context();  // which does not know the authority
        CHECK(town.dial() == failure(TlsErrc::certificate_untrusted));
        CHECK(town.report.phase == DialPhase::tls);
    }
    {
        Town town(engine, true, true);
        town.options.proxy_tls_context = tls::Context();
        CHECK(town.dial() == failure(TlsErrc::certificate_untrusted));
        CHECK(town.report.phase == DialPhase::proxy);
    }
    {
        Town town(engine, true, true);
        std::swap(town.options.resolve[0], town.options.resolve[1]);
        const std::string port = town.target.substr(town.target.rfind(':') + 1);
        town.target = "tls://other.test:" + port;
        CHECK(town.dial() == failure(TlsErrc::certificate_name_mismatch));
    }
}

// Dials, and cancels after so many steps of the kernel; how many there were, had it not.
std::uint64_t dial_and_cancel(std::uint64_t step) {
    SimKernel kernel(step, {.late_cancel = 300});
    Engine engine(kernel);
    Town town(engine, true, true);
    engine.run_once(0ns);
    const std::uint64_t begun = kernel.steps();
    bool over = false;
    {
        Dialer dialer(town.target, town.options);
        Operation connect(engine);
        dialer.connect(connect.aio, town.stream, town.report);
        kernel.at_step(begun + step, [&] {
            if (!over) connect.aio.cancel();
        });
        static_cast<void>(connect.aio.wait());
        over = true;
        REQUIRE(connect.ended().calls == 1);
        REQUIRE((!connect.ended().error || connect.ended().error == Errc::canceled));
        REQUIRE(static_cast<bool>(town.stream) == !connect.ended().error);
    }
    const std::uint64_t steps = kernel.steps() - begun;
    if (town.stream) CHECK(town.echoes(100));
    return steps;
}

TEST_CASE("a dial with real TLS in TLS can be cancelled at every step") {
    const std::uint64_t last = dial_and_cancel(1'000'000);
    CHECK(last > 20);
    for (std::uint64_t step = 0; step <= last; ++step)
        static_cast<void>(dial_and_cancel(step));
}

}  // namespace
}  // namespace uaio
