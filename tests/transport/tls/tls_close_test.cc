// A tls stream that closes while its peer is sending, over real sockets.
#include <uaio/tls.h>

#include "tests/support/closing_ends.h"
#include "tests/support/tls/ends.h"

#include <doctest/doctest.h>

namespace uaio::tls_close_test {

TEST_CASE_TEMPLATE("a tls stream destroyed with unread bytes resets a peer that is sending", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    ClosingEnds below = ClosingEnds::make(engine);
    ClosingEnds ends;
    const tls::Context client(client_options());
    tls::ContextOptions options = server_options();
    options.close_timeout = std::chrono::milliseconds(20);
    const tls::Context server(options);
    Operation connect(engine), accept(engine);
    tls::accept(server, std::move(below.closing), accept.aio, ends.closing);
    tls::connect(client, std::move(below.sending), to_localhost(), connect.aio, ends.sending);
    REQUIRE(!connect.aio.wait());
    REQUIRE(!accept.aio.wait());
    const std::string bytes(1 << 20, 'x');
    Operation write(engine, bytes);
    ends.sending->write_all(write.aio);
    while (write.done()) {
        write.forget();
        ends.sending->write_all(write.aio);
        run_some(engine);
    }
    ends.closing.reset();
    // It reads during close_timeout, so that the closing alert is not lost.
    while (!write.aio.wait()) {
        write.forget();
        ends.sending->write_all(write.aio);
    }
    CHECK(write.ended().error == Errc::connection_reset);
}

}  // namespace uaio::tls_close_test
