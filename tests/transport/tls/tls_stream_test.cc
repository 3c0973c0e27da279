// How a tls stream carries bytes, from one end to the other.
#include "tests/support/tls/ends.h"

namespace uaio::tls_stream_test {

using tls::Version;

TEST_CASE("a tls stream transfers iovec lists both ways with exact counts") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        TlsEnds ends(version);
        ends.joined();
        for (const std::size_t size : {1, 1000, 16384, 16385, 300'000}) {
            const std::string out = pattern(size);
            std::string in(size, '\0');
            Operation write(ends.engine());
            Operation read(ends.engine(), in);
            REQUIRE(!write.aio.set_iov(entries_of(out, 7)));
            ends.client().write_all(write.aio);
            ends.server().read_all(read.aio);
            REQUIRE(ends.run_until([&] { return write.done() && read.done(); }));
            CHECK(write.ended() == success(size));
            CHECK(read.ended() == success(size));
            CHECK(in == out);
            std::string back(size, '\0');
            write.forget();
            Operation answer(ends.engine(), back);
            ends.client().read_all(answer.aio);
            ends.server().write_all(write.aio);
            REQUIRE(ends.run_until([&] { return write.done() && answer.done(); }));
            CHECK(back == out);
        }
        CHECK(tls::details(ends.client()).version ==
              (version == Version::tls_1_2 ? "TLSv1.2" : "TLSv1.3"));
    }
}

TEST_CASE("closing a tls stream ends only the peer's reads") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        TlsEnds ends(version);
        ends.joined();
        CHECK(ends.write_all(ends.client(), "last") == success(4));
        ends.client().close();
        std::string in(10, '\0');
        CHECK(ends.read_all(ends.server(), in) == failure(Errc::end_of_stream, 4));
        CHECK(ends.read(ends.server(), in) == failure(Errc::end_of_stream));
        CHECK(ends.write_all(ends.client(), "late") == failure(Errc::closed));
        CHECK(ends.read(ends.client(), in) == failure(Errc::closed));
        ends.server_handle().reset();
        ends.client_handle().reset();
        CHECK(ends.run_until([&] { return ends.to_client().write_ended(); }));
        CHECK(ends.run_until([&] { return ends.to_server().write_ended(); }));
    }
}

TEST_CASE("an end without close_notify is truncated for every later read") {
    TlsEnds ends;
    ends.joined();
    CHECK(ends.write_all(ends.client(), "hello") == success(5));
    ends.to_server().cut_at(ends.to_server().taken().size());
    std::string in(10, '\0');
    CHECK(ends.read_all(ends.server(), in) == failure(Errc::truncated, 5));
    CHECK(ends.read(ends.server(), in) == failure(Errc::truncated));
    // The other direction still works.
    CHECK(ends.write_all(ends.server(), "answer") == success(6));
    std::string answer(6, '\0');
    CHECK(ends.read_all(ends.client(), answer) == success(6));
}

}  // namespace uaio::tls_stream_test
