// A Dialer with real TLS: to the target, to the proxy, and one inside the other, against servers
// and a proxy written with the library.
#include <uaio/dialer.h>

#include "tests/support/tls/proxy_fixture.h"

namespace uaio::dialer_over_tls_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE(
    "300,000 bytes are echoed over TLS to the target, to the proxy, and in each other (57)", Kernel,
    OnLinux, OnPoll) {
    for (const bool secure_target : {false, true}) {
        for (const bool secure_proxy : {false, true}) {
            Engine engine(options_on(Kernel::kKind));
            ProxyFixture fixture(engine, secure_target, secure_proxy);
            REQUIRE(fixture.dial() == success(0));
            CHECK(fixture.echoes(300'000));
            CHECK(fixture.report.proxy_status == 200);
            CHECK((fixture.report.tls > 0ns) == secure_target);
            const tls::Details details = tls::details(*fixture.stream);
            CHECK(details.version == (secure_target || secure_proxy ? "TLSv1.3" : ""));
        }
    }
}

TEST_CASE("TLS in TLS works with short transfers on a simulated network") {
    SimKernel kernel(11, {.short_write = 700, .short_read = 700, .reorder = 500});
    Engine engine(kernel);
    ProxyFixture fixture(engine, true, true);
    REQUIRE(fixture.dial() == success(0));
    CHECK(fixture.echoes(50'000));
}

TEST_CASE("the target's and the proxy's certificate for another name are refused (42)") {
    SimKernel kernel(1);
    Engine engine(kernel);
    {
        ProxyFixture fixture(engine, true, true);
        fixture.options.tls_context = tls::Context();  // which does not trust the authority
        CHECK(fixture.dial() == failure(TlsErrc::certificate_untrusted));
        CHECK(fixture.report.phase == DialPhase::tls);
    }
    {
        ProxyFixture fixture(engine, true, true);
        fixture.options.proxy_tls_context = tls::Context();
        CHECK(fixture.dial() == failure(TlsErrc::certificate_untrusted));
        CHECK(fixture.report.phase == DialPhase::proxy);
    }
    {
        ProxyFixture fixture(engine, true, true);
        std::swap(fixture.options.resolve[0], fixture.options.resolve[1]);
        const std::string port = fixture.target.substr(fixture.target.rfind(':') + 1);
        fixture.target = "tls://other.test:" + port;
        CHECK(fixture.dial() == failure(TlsErrc::certificate_name_mismatch));
    }
}

// Dials, and cancels after `step` steps of the kernel; returns the number of steps without a
// cancel. Counts the cancelled dials.
std::uint64_t dial_and_cancel(std::uint64_t step, std::uint64_t& canceled) {
    SimKernel kernel(step, {.late_cancel = 300});
    Engine engine(kernel);
    ProxyFixture fixture(engine, true, true);
    engine.run_once(0ns);
    const std::uint64_t begun = kernel.steps();
    bool over = false;
    {
        Dialer dialer(fixture.target, fixture.options);
        Operation connect(engine);
        dialer.connect(connect.aio, fixture.stream, fixture.report);
        kernel.at_step(begun + step, [&] {
            if (!over) connect.aio.cancel();
        });
        static_cast<void>(connect.aio.wait());
        over = true;
        REQUIRE(connect.ended().calls == 1);
        REQUIRE((!connect.ended().error || connect.ended().error == Errc::canceled));
        REQUIRE(static_cast<bool>(fixture.stream) == !connect.ended().error);
        canceled += static_cast<bool>(connect.ended().error);
    }
    const std::uint64_t steps = kernel.steps() - begun;
    if (fixture.stream) CHECK(fixture.echoes(100));
    return steps;
}

TEST_CASE("a dial with real TLS in TLS can be cancelled at every step") {
    std::uint64_t canceled = 0;
    const std::uint64_t last = dial_and_cancel(1'000'000, canceled);
    CHECK(last > 20);
    CHECK(canceled == 0);
    for (std::uint64_t step = 0; step <= last; ++step)
        static_cast<void>(dial_and_cancel(step, canceled));
    CHECK(canceled >= last / 4);
}

}  // namespace uaio::dialer_over_tls_test
