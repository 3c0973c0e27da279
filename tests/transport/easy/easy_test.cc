// easy::Connection over plain sockets. The numbers in parentheses are those of the scenarios in
// which libcurl's behaviour was recorded.
#include <uaio/argument_error.h>

#include "tests/support/easy_ends.h"

#include <array>
#include <cerrno>

#include <doctest/doctest.h>

namespace uaio::easy_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE("easy: attempts send and receive, and would block without bytes (1)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    for (const bool unix_socket : {false, true}) {
        EasyEnds ends(Kernel::kKind, unix_socket);
        CHECK(ends.try_receive().result == kWouldBlock);
        CHECK(ends.try_send("hello") == transferred(5));
        REQUIRE(ends.run_until([&] { return ends.peer().read_some() > 0; }));
        CHECK(ends.peer().received() == "hello");
        ends.peer().send("world");
        CHECK(ends.receive().bytes == "world");
        CHECK(ends.try_receive().result == kWouldBlock);
    }
}

TEST_CASE_TEMPLATE("easy: an attempt of 0 bytes succeeds and detects no end (2, 3)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    CHECK(ends.try_send("") == transferred(0));
    CHECK(ends.try_receive(0).result == transferred(0));
    ends.peer().send("hello");
    CHECK(ends.wait_for(Direction::receive) == success(0));
    CHECK(ends.try_receive(0).result == transferred(0));
    CHECK(ends.try_receive(5).bytes == "hello");
    ends.peer().shutdown_write();
    CHECK(ends.wait_for(Direction::receive) == success(0));
    CHECK(ends.try_receive(0).result == transferred(0));
    CHECK(ends.try_receive(1).result == refused(Errc::end_of_stream));
}

TEST_CASE_TEMPLATE("easy: every call fails before the connect and after the close (4, 13)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    easy::Connection fresh(ends.engine());
    std::array<std::byte, 5> bytes{};
    CHECK(fresh.try_send(bytes) == refused(Errc::not_connected));
    CHECK(fresh.try_receive(bytes) == refused(Errc::not_connected));
    CHECK(fresh.try_send({}) == refused(Errc::not_connected));
    CHECK(fresh.native_handle() == -1);
    for (easy::Connection* const each : {&fresh, &ends.connection()}) {
        each->close();
        CHECK(each->try_send(bytes) == refused(Errc::not_connected));
        CHECK(each->native_handle() == -1);
        Operation send(ends.engine(), "hello");
        Operation receive(ends.engine(), "room!");
        Operation wait(ends.engine());
        each->send_all(send.aio);
        each->receive(receive.aio);
        each->wait_for(Direction::receive, wait.aio);
        for (const Operation* const operation : {&send, &receive, &wait}) {
            REQUIRE(ends.run_until_done(*operation));
            CHECK(operation->ended() == failure(Errc::not_connected));
        }
    }
}

TEST_CASE_TEMPLATE("easy: a connect that fails leaks nothing (5)", Kernel, OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    easy::Options options = ends.options();
    if (Kernel::kKind != OnSim::kKind) options.unix_path = fresh_abstract_name();
    Operation connect(ends.engine());
    ends.connection().connect("tcp://127.0.0.1:9", options, connect.aio);
    REQUIRE(ends.run_until_done(connect));
    CHECK(connect.ended() == failure({ECONNREFUSED, std::system_category()}));
    CHECK(ends.try_send("hello") == refused(Errc::not_connected));
    CHECK(ends.connection().native_handle() == -1);
    CHECK(ends.connection().report().phase == DialPhase::connect);
}

TEST_CASE_TEMPLATE("easy: a connect refuses a malformed URL (23)", Kernel, OnLinux, OnPoll) {
    EasyEnds ends(Kernel::kKind);
    for (const char* const url : {"foo://127.0.0.1:9", "tcp://127.0.0.1:99999", "file:///etc"}) {
        Operation connect(ends.engine());
        ends.connection().connect(url, ends.options(), connect.aio);
        REQUIRE(ends.run_until_done(connect));
        CHECK(connect.ended() == failure(ArgumentErrc::invalid_url));
    }
    CHECK(ends.try_send("hello") == refused(Errc::not_connected));
}

TEST_CASE_TEMPLATE("easy: a second connect replaces the connection (11)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    EasyEnds ends(Kernel::kKind);
    CHECK(ends.try_send("first") == transferred(5));
    std::string room(5, '\0');
    Operation receive(ends.engine(), room);
    ends.connection().receive(receive.aio);
    FarEnd old = std::move(ends.peer());
    CHECK(ends.connect() == success(0));
    CHECK(receive.ended() == failure(Errc::closed));
    ends.accept();
    CHECK(ends.try_send("second!") == transferred(7));
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        old.read_some();
        return ends.peer().received().size() == 7 && old.end() == FarEnd::End::fin;
    }));
    CHECK(old.received() == "first");
    CHECK(ends.peer().received() == "second!");
}

// ---- ends

TEST_CASE_TEMPLATE(
    "easy: an end of stream is returned by every later receive, and sends still work (14, 15)",
    Kernel, OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    ends.peer().send("bytes");
    ends.peer().shutdown_write();
    CHECK(ends.receive().bytes == "bytes");
    for (int i = 0; i < 2; ++i)
        CHECK(ends.receive().result == refused(Errc::end_of_stream));
    CHECK(ends.try_send("more bytes") == transferred(10));
    REQUIRE(ends.run_until([&] { return ends.peer().read_some() == 10; }));
    // The peer closes: its kernel answers the first send with a reset, which the second returns.
    ends.peer().close();
    static_cast<void>(ends.try_send("hello"));
    REQUIRE(ends.run_until([&] { return static_cast<bool>(ends.try_send("hello").error); }));
    for (int i = 0; i < 2; ++i)
        CHECK(ends.try_send("hello") == refused(Errc::connection_reset));
    CHECK(ends.try_receive().result == refused(Errc::end_of_stream));
    Operation receive(ends.engine(), "room!");
    ends.connection().receive(receive.aio);
    REQUIRE(ends.run_until_done(receive));
    CHECK(receive.ended() == failure(Errc::end_of_stream));
}

TEST_CASE_TEMPLATE(
    "easy: a reset found by a send or a receive is returned by every later call (16, 17)", Kernel,
    OnLinux, OnPoll, OnSim) {
    for (const bool receives_first : {true, false}) {
        EasyEnds ends(Kernel::kKind);
        ends.peer().reset();
        CHECK(ends.wait_for(Direction::receive) == success(0));
        for (int i = 0; i < 3; ++i) {
            if (receives_first || i > 0) {
                CHECK(ends.try_receive().result == refused(Errc::connection_reset));
            }
            CHECK(ends.try_send("hello") == refused(Errc::connection_reset));
        }
    }
}

TEST_CASE_TEMPLATE(
    "easy: a unix peer that closes with unread bytes resets the connection for every later call",
    Kernel, OnLinux, OnPoll) {
    EasyEnds ends(Kernel::kKind, true);
    CHECK(ends.try_send("never read") == transferred(10));
    ends.peer().close();
    for (int i = 0; i < 2; ++i)
        CHECK(ends.receive().result == refused(Errc::connection_reset));
    Operation receive(ends.engine(), "room!");
    ends.connection().receive(receive.aio);
    REQUIRE(ends.run_until_done(receive));
    CHECK(receive.ended() == failure(Errc::connection_reset));
}

// ---- much

TEST_CASE_TEMPLATE("easy: a large send sends a part, and then would block (19)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    EasyEnds ends = EasyEnds::small_buffers(Kernel::kKind);
    const std::string bytes = pattern(EasyEnds::kBlocking);
    std::string_view rest = bytes;
    Operation wait(ends.engine());
    // A blocked send has room again when the kernel has passed its bytes on, until the peer's
    // buffer is full too.
    do {
        const std::size_t before = rest.size();
        Transferred result;
        do {
            result = ends.try_send(rest);
            REQUIRE(result.count < rest.size());
            rest.remove_prefix(result.count);
        } while (!result.error);
        CHECK(result == kWouldBlock);
        REQUIRE(rest.size() < before);
        wait.forget();
        ends.connection().wait_for(Direction::send, wait.aio);
        ends.run_some();
    } while (wait.done());
    const std::size_t sent = bytes.size() - rest.size();
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        return wait.done();
    }));
    CHECK(wait.ended() == success(0));
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        return ends.peer().received().size() == sent;
    }));
    CHECK(bytes.starts_with(ends.peer().received()));
    CHECK(ends.try_send(rest).count > 0);
}

TEST_CASE_TEMPLATE("easy: attempts and waits transfer four megabytes (20)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    easy::Options options;
    options.stream.send_buffer = 16384;
    EasyEnds ends(Kernel::kKind, false, options);
    const std::string bytes = pattern(4 << 20);
    ends.send_all(bytes);
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        return ends.peer().received().size() >= bytes.size();
    }));
    CHECK(ends.peer().received() == bytes);
}

TEST_CASE_TEMPLATE("easy: a receive has no limit of its own (21)", Kernel, OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    const std::string bytes = pattern(100'000);
    std::string_view rest = bytes;
    std::string got;
    std::size_t largest = 0;
    while (got.size() < bytes.size()) {
        rest.remove_prefix(ends.peer().send_some(rest));
        const EasyEnds::Received received = ends.receive(bytes.size());
        REQUIRE(!received.result.error);
        largest = std::max(largest, received.bytes.size());
        got += received.bytes;
    }
    CHECK(got == bytes);
    CHECK(largest > 16384);
}

// ---- beside Aios

TEST_CASE_TEMPLATE("easy: an attempt does not overtake queued operations", Kernel, OnLinux, OnPoll,
                   OnSim) {
    EasyEnds ends = EasyEnds::small_buffers(Kernel::kKind);
    const std::string bytes = pattern(EasyEnds::kBlocking);
    Operation send(ends.engine(), bytes);
    ends.connection().send_all(send.aio);
    CHECK(ends.try_send("tail") == kWouldBlock);
    Operation wait(ends.engine());
    ends.connection().wait_for(Direction::send, wait.aio);
    ends.run_some();
    CHECK(!wait.done());
    CHECK(ends.try_send("tail") == kWouldBlock);
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        return wait.done();
    }));
    CHECK(send.ended() == success(bytes.size()));
    CHECK(ends.try_send("tail") == transferred(4));
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        return ends.peer().received().size() == bytes.size() + 4;
    }));
    CHECK(ends.peer().received() == bytes + "tail");
}

TEST_CASE_TEMPLATE("easy: an attempt takes no bytes from a pending receive", Kernel, OnLinux,
                   OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    std::string room(5, '\0');
    Operation receive(ends.engine(), room);
    ends.connection().receive(receive.aio);
    CHECK(ends.try_receive().result == kWouldBlock);
    Operation wait(ends.engine());
    ends.connection().wait_for(Direction::receive, wait.aio);
    ends.peer().send("firstsecond");
    REQUIRE(ends.run_until_done(wait));
    CHECK(receive.ended() == success(5));
    CHECK(room == "first");
    CHECK(ends.try_receive().bytes == "second");
    // A cancelled one does not block later calls.
    receive.forget();
    ends.connection().receive_all(receive.aio);
    receive.aio.cancel();
    REQUIRE(ends.run_until_done(receive));
    CHECK(receive.ended() == failure(Errc::canceled));
    ends.peer().send("third");
    CHECK(ends.receive().bytes == "third");
}

TEST_CASE_TEMPLATE("easy: Aios send and receive at the same time", Kernel, OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    const std::string out = pattern(1 << 20);
    const std::string in = pattern(1 << 20, 7);
    std::string got(in.size(), '\0');
    Operation send(ends.engine(), out);
    Operation receive(ends.engine(), got);
    ends.connection().send_all(send.aio);
    ends.connection().receive_all(receive.aio);
    std::string_view rest = in;
    REQUIRE(ends.run_until([&] {
        rest.remove_prefix(ends.peer().send_some(rest));
        ends.peer().read_some();
        return send.done() && receive.done() && ends.peer().received().size() == out.size();
    }));
    CHECK(send.ended() == success(out.size()));
    CHECK(receive.ended() == success(in.size()));
    CHECK(got == in);
    CHECK(ends.peer().received() == out);
}

TEST_CASE_TEMPLATE("easy: a wait can be cancelled, expires, and ends when the connection closes",
                   Kernel, OnLinux, OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    Operation canceled(ends.engine());
    Operation expired(ends.engine());
    Operation late(ends.engine());
    Operation closed(ends.engine());
    expired.aio.set_timeout(2ms);
    late.aio.set_timeout(0ns);
    for (Operation* const each : {&canceled, &expired, &late, &closed})
        ends.connection().wait_for(Direction::receive, each->aio);
    canceled.aio.cancel();
    REQUIRE(ends.run_until([&] { return canceled.done() && expired.done() && late.done(); }));
    CHECK(canceled.ended() == failure(Errc::canceled));
    CHECK(expired.ended() == failure(Errc::timed_out));
    CHECK(late.ended() == failure(Errc::timed_out));
    CHECK(closed.ended() == kPending);
    ends.connection().close();
    REQUIRE(ends.run_until_done(closed));
    CHECK(closed.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("easy: the destructor of a connection ends its operations", Kernel, OnLinux,
                   OnPoll, OnSim) {
    EasyEnds ends(Kernel::kKind);
    std::string room(5, '\0');
    Operation receive(ends.engine(), room);
    Operation wait(ends.engine());
    ends.connection().receive_all(receive.aio);
    ends.connection().wait_for(Direction::receive, wait.aio);
    CHECK(ends.try_send("bye") == transferred(3));
    ends.drop_connection();
    REQUIRE(ends.run_until([&] {
        ends.peer().read_some();
        return receive.done() && wait.done() && ends.peer().end() == FarEnd::End::fin;
    }));
    CHECK(receive.ended() == failure(Errc::closed));
    CHECK(wait.ended() == failure(Errc::closed));
    CHECK(ends.peer().received() == "bye");
}

TEST_CASE_TEMPLATE("easy: the timeout of a connect does not limit the connection (22)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    easy::Options options;
    options.timeout = 100ms;
    EasyEnds ends(Kernel::kKind, false, options);
    Operation receive(ends.engine(), "room!");
    receive.aio.set_timeout(150ms);
    ends.connection().receive(receive.aio);
    REQUIRE(ends.run_until_done(receive));
    CHECK(receive.ended() == failure(Errc::timed_out));
    CHECK(ends.try_receive().result == kWouldBlock);
    CHECK(ends.try_send("0123456789") == transferred(10));
}

}  // namespace uaio::easy_test
