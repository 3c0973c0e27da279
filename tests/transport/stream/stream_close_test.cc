// A stream that closes while its peer is sending: the effect of close(2) with unread bytes.
#include <uaio/tcp.h>

#include "tests/support/closing_ends.h"
#include "transport/proxy/prefixed_stream.h"

#include <doctest/doctest.h>

namespace uaio::stream_close_test {

TEST_CASE_TEMPLATE("a stream destroyed with unread bytes resets a peer that is sending", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    ClosingEnds ends = ClosingEnds::make(engine);
    check_that_closing_resets(engine, std::move(ends));
}

TEST_CASE_TEMPLATE("a stream that closes behind a proxy's response resets a peer that is sending",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    ClosingEnds ends = ClosingEnds::make(engine);
    ends.closing = proxy::prefixed(engine, std::move(ends.closing), "early");
    check_that_closing_resets(engine, std::move(ends));
}

TEST_CASE_TEMPLATE(
    "a stream that closes with a full window delivers the bytes that the kernel has taken", Kernel,
    OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    ClosingEnds ends = ClosingEnds::make(engine);
    fill_window(engine, *ends.sending);
    Operation answer(engine, "answer");
    ends.closing->write_all(answer.aio);
    REQUIRE(!answer.aio.wait());
    ends.closing->close();
    std::string in(6, '\0');
    Operation read(engine, in);
    ends.sending->read_all(read.aio);
    CHECK(!read.aio.wait());
    CHECK(in == "answer");
    read.forget();
    ends.sending->read(read.aio);
    CHECK(read.aio.wait() == Errc::end_of_stream);
}

}  // namespace uaio::stream_close_test
