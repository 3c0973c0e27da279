// A dialogue with a proxy over a stream, on a simulated kernel: early bytes, ends at every moment,
// and cancels at every step.
#include <uaio/argument_error.h>
#include <uaio/engine_group.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "transport/proxy/handshake.h"
#include "transport/proxy/prefixed_stream.h"
#include "transport/proxy/socks.h"

#include <memory>

#include <doctest/doctest.h>

namespace uaio::proxy_handshake_test {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string kMethod = "\5\0"s;
const std::string kGranted = "\5\0\0\1\x7f\0\0\1\x04\x38"s;

// A SOCKS5 proxy that sends its two answers and then `early`, and a stream to it.
class Scene {
public:
    explicit Scene(std::string early, const Faults& faults = {})
        : kernel(7, faults), engine(kernel), dialogue(proxy_, "origin.test", 80) {
        SimListener& listener = kernel.listen_peer(1080);
        listener.on_accept([this, early](SimPeer& accepted) {
            peer = &accepted;
            peer->on_receive([early](SimPeer& self) {
                const std::size_t size = self.received().size();
                if (size == 3) self.send(kMethod);
                if (size == 3 + 18) self.send(kGranted + early);
                if (size > 3 + 18) self.send(self.received().substr(3 + 18));
            });
        });
        Operation connect(engine);
        tcp::connect(Endpoint::loopback(1080), {}, connect.aio, stream);
        REQUIRE(!connect.aio.wait());
    }

    std::string read(std::size_t size) {
        std::string in(size, '\0');
        Operation read(engine, in);
        stream->read_all(read.aio);
        static_cast<void>(read.aio.wait());
        REQUIRE(read.ended().calls == 1);
        return in.substr(0, read.ended().count);
    }

    SimKernel kernel;
    Engine engine;
    StreamPtr stream;
    SimPeer* peer = nullptr;

private:
    const Proxy proxy_{.kind = ProxyKind::socks5h};

public:
    proxy::SocksDialogue dialogue;
};

TEST_CASE("bytes behind the last response are read first") {
    for (const std::size_t early : {0u, 1u, 5u, 4096u, 10000u}) {
        Scene scene(pattern(early));
        Operation shake(scene.engine);
        proxy::run(scene.dialogue, scene.stream, shake.aio);
        CHECK(shake.ended() == kPending);
        REQUIRE(!shake.aio.wait());
        CHECK(shake.ended() == success(0));
        Operation write(scene.engine, "more");
        scene.stream->write_all(write.aio);
        CHECK(scene.read(early + 4) == pattern(early) + "more");
        CHECK(write.ended() == success(4));
    }
}

TEST_CASE("a handshake works with responses in single bytes and short writes") {
    Scene scene("early", {.short_write = 900, .short_read = 900, .reorder = 500});
    Operation shake(scene.engine);
    proxy::run(scene.dialogue, scene.stream, shake.aio);
    CHECK(!shake.aio.wait());
    CHECK(scene.read(5) == "early");
}

TEST_CASE("a handshake cancelled, expired or ended with its engine at every step leaks nothing") {
    enum class How { cancel, abort, destroy };
    for (const How how : {How::cancel, How::abort, How::destroy}) {
        std::uint64_t last = 1;
        std::uint64_t ended_early = 0;
        for (std::uint64_t step = 1; step <= last; ++step) {
            bool over = false;
            std::optional<Scene> scene(std::in_place, "early", Faults{.late_cancel = 300});
            const std::uint64_t begun = scene->kernel.steps();
            Operation shake(scene->engine);
            proxy::run(scene->dialogue, scene->stream, shake.aio);
            scene->kernel.at_step(begun + step, [&] {
                if (over) return;
                if (how == How::cancel) shake.aio.cancel();
                if (how == How::abort) shake.aio.abort(Errc::timed_out);
                if (how == How::destroy) scene->stream->close();
            });
            static_cast<void>(shake.aio.wait());
            over = true;
            last = scene->kernel.steps() - begun;
            const std::error_code error = shake.ended().error;
            CHECK(shake.ended().calls == 1);
            const Errc wanted = how == How::cancel  ? Errc::canceled
                                : how == How::abort ? Errc::timed_out
                                                    : Errc::closed;
            CHECK((!error || error == wanted));
            ended_early += static_cast<bool>(error);
            if (!error && how != How::destroy) CHECK(scene->read(5) == "early");
            scene->stream.reset();
            for (int turn = 0; turn < 10; ++turn)
                scene->engine.run_once(1ms);
            CHECK(scene->engine.statistics().in_flight == 0);
            CHECK(scene->kernel.pending_operations() == 0);
        }
        CHECK(last > 5);
        CHECK(ended_early >= last / 4);
    }
}

TEST_CASE("an end of stream before the tunnel is open is the error closed_early") {
    for (std::size_t answered = 0; answered < kMethod.size() + kGranted.size(); ++answered) {
        for (const bool resets : {false, true}) {
            Scene scene("");
            REQUIRE(scene.peer);
            const std::string script = kMethod + kGranted;
            std::size_t sent = 0;
            scene.peer->on_receive([&](SimPeer& self) {
                const std::size_t known = self.received().size() >= 21 ? answered
                                          : self.received().size() >= 3
                                              ? std::min<std::size_t>(answered, 2)
                                              : 0;
                self.send(script.substr(sent, known - sent));
                sent = known;
                if (known == answered) resets ? self.reset() : self.close();
            });
            Operation shake(scene.engine);
            proxy::run(scene.dialogue, scene.stream, shake.aio);
            static_cast<void>(shake.aio.wait());
            const std::error_code error = shake.ended().error;
            CHECK(shake.ended().calls == 1);
            CAPTURE(answered);
            const bool meets_reset = error == Errc::connection_reset;
            if (answered == 2) continue;  // the request may be in flight: either result is possible
            CHECK((resets ? meets_reset : error == ProxyErrc::closed_early));
        }
    }
}

TEST_CASE("a prefix is read in order, in pieces and by the contract of a stream") {
    Scene scene("");
    StreamPtr stream = proxy::prefixed(scene.engine, std::move(scene.stream), "0123456789");
    CHECK(stream->native_handle() >= 0);
    const auto read = [&](std::span<const iovec> entries) {
        Operation operation(scene.engine);
        REQUIRE(!operation.aio.set_iov(entries));
        stream->read(operation.aio);
        static_cast<void>(operation.aio.wait());
        return operation.ended();
    };
    char first[2] = {};
    char second[3] = {};
    const iovec none[] = {{nullptr, 0}, {first, 0}};
    const iovec bad[] = {{nullptr, 1}};
    const iovec two[] = {{first, 2}, {nullptr, 0}, {second, 3}};
    CHECK(read({}) == failure(Errc::invalid_argument));
    CHECK(read(bad) == failure(Errc::invalid_argument));
    CHECK(read(none) == success(0));
    CHECK(read(two) == success(5));
    CHECK((std::string(first, 2) == "01" && std::string(second, 3) == "234"));
    Operation stopped(scene.engine, std::string_view(second, 3));
    stopped.aio.stop();
    stream->read(stopped.aio);
    CHECK(stopped.aio.wait() == Errc::canceled);
    Operation expired(scene.engine, std::string_view(second, 3));
    expired.aio.set_timeout(0ns);
    stream->read(expired.aio);
    CHECK(expired.aio.wait() == Errc::timed_out);
    std::string in(7, '\0');
    Operation all(scene.engine, in);
    stream->read_all(all.aio);
    scene.engine.run_once(0ns);
    CHECK(all.ended() == kPending);
    scene.peer->send("ab");
    CHECK(!all.aio.wait());
    CHECK(all.ended() == success(7));
    CHECK(in == "56789ab");
    Operation last(scene.engine, in);
    stream->read(last.aio);
    stream.reset();
    CHECK(last.aio.wait() == Errc::closed);
}

TEST_CASE("the bytes of a prefix can be extracted, and the stream continues after them") {
    Scene scene("");
    CHECK(proxy::take_first(*scene.stream).empty());
    scene.stream = proxy::prefixed(scene.engine, std::move(scene.stream), "0123456789");
    CHECK(scene.read(3) == "012");
    CHECK(proxy::take_first(*scene.stream) == "3456789");
    CHECK(proxy::take_first(*scene.stream).empty());
    scene.peer->send("ab");
    CHECK(scene.read(2) == "ab");
}

TEST_CASE("a closed prefix returns no more bytes, and its handle may be destroyed at any time") {
    Scene scene("");
    StreamPtr stream = proxy::prefixed(scene.engine, std::move(scene.stream), "0123456789");
    stream->close();
    char in[4];
    Operation read(scene.engine, std::string_view(in, 4));
    stream->read(read.aio);
    CHECK(read.aio.wait() == Errc::closed);
    CHECK(stream->native_handle() == -1);
    SimKernel other_kernel(1);
    Engine other(other_kernel);
    Operation elsewhere(other, std::string_view(in, 4));
    stream->read(elsewhere.aio);
    CHECK(elsewhere.aio.wait() == ArgumentErrc::wrong_engine);
}

TEST_CASE("the handle of a prefix may be destroyed while reads of other threads are pending") {
    EngineThread io;
    tcp::Listener listener(io.engine(), Endpoint::loopback(0));
    for (int round = 0; round < 100; ++round) {
        StreamPtr lower;
        Operation connect(io.engine());
        tcp::connect(listener.local_endpoint(), {}, connect.aio, lower);
        REQUIRE(!connect.aio.wait());
        StreamPtr stream = proxy::prefixed(io.engine(), std::move(lower), "0123456789");
        std::string in(6, '\0');
        Operation first(io.engine(), in), second(io.engine(), in);
        stream->read_all(first.aio);
        stream->read_all(second.aio);
        stream.reset();
        static_cast<void>(first.aio.wait());
        static_cast<void>(second.aio.wait());
        CHECK((first.ended() == success(6) || first.ended() == failure(Errc::closed)));
        CHECK(second.ended().calls == 1);
        CHECK(second.ended().error == Errc::closed);
    }
}

}  // namespace uaio::proxy_handshake_test
