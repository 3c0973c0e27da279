// The verbs of objects whose engine was destroyed, with Aios of another engine.
#include <uaio/easy.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/raw_peer.h"
#include "tests/support/turns.h"
#include "transport/stream/try_io.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::lost_engine_test {

struct Verb {
    const char* name;
    std::function<void(Aio&)> call;
};

// An engine that is destroyed after its streams were made, and another.
struct LostEngine {
    explicit LostEngine(KernelKind kind)
        : lost(std::make_unique<Engine>(options_on(kind))), engine(options_on(kind)) {}

    StreamPtr connect() {
        StreamPtr stream;
        Aio aio(*lost);
        tcp::connect(listener.endpoint(), {}, aio, stream);
        REQUIRE(!aio.wait());
        return stream;
    }

    void check(const std::vector<Verb>& verbs, std::error_code expected) {
        REQUIRE(!lost);
        for (const Verb& verb : verbs) {
            CAPTURE(verb.name);
            std::string byte(1, 'x');
            Operation operation(engine, byte);
            verb.call(operation.aio);
            CHECK(!operation.done());
            REQUIRE(run_until(engine, [&] { return operation.done(); }));
            CHECK(operation.ended() == failure(expected));
        }
        CHECK(engine.statistics().misuse == 0);
    }

    const RawListener listener;
    std::unique_ptr<Engine> lost;
    Engine engine;
};

TEST_CASE_TEMPLATE("every verb of a stream whose engine was destroyed ends with closed", Kernel,
                   OnLinux, OnPoll) {
    LostEngine scene(Kernel::kKind);
    const StreamPtr stream = scene.connect();
    TryIo& attempts = *try_io_of(*stream);
    scene.lost.reset();
    scene.check({{"read", [&](Aio& aio) { stream->read(aio); }},
                 {"read_all", [&](Aio& aio) { stream->read_all(aio); }},
                 {"write", [&](Aio& aio) { stream->write(aio); }},
                 {"write_all", [&](Aio& aio) { stream->write_all(aio); }},
                 {"wait_for", [&](Aio& aio) { attempts.wait_for(Direction::send, aio); }}},
                Errc::closed);
    std::byte byte{};
    CHECK(attempts.try_write({&byte, 1}).error == Errc::closed);
    CHECK(attempts.try_read({&byte, 1}).error == Errc::closed);
    CHECK(stream->native_handle() == -1);
    stream->close();
}

TEST_CASE_TEMPLATE("a listener whose engine was destroyed has no engine", Kernel, OnLinux, OnPoll) {
    LostEngine scene(Kernel::kKind);
    const tcp::Listener tcp(*scene.lost, Endpoint::loopback(0));
    const local::Listener local(*scene.lost, fresh_abstract_name());
    CHECK(tcp.engine() == scene.lost.get());
    CHECK(local.engine() == scene.lost.get());
    scene.lost.reset();
    CHECK(!tcp.engine());
    CHECK(!local.engine());
}

TEST_CASE_TEMPLATE("every verb of an http connection whose engine was destroyed ends with closed",
                   Kernel, OnLinux, OnPoll) {
    for (const bool session : {false, true}) {
        CAPTURE(session);
        LostEngine scene(Kernel::kKind);
        http::Connection connection(scene.connect());
        http::Request request("http://h/");
        http::Response response;
        if (session) {
            Aio aio(*scene.lost);
            aio.set_timeout(std::chrono::nanoseconds(0));
            connection.read_response(response, aio);
            REQUIRE(aio.wait() == Errc::timed_out);
        }
        scene.lost.reset();
        std::vector<Verb> verbs = {
            {"read", [&](Aio& aio) { connection.read(aio); }},
            {"read_all", [&](Aio& aio) { connection.read_all(aio); }},
            {"write", [&](Aio& aio) { connection.write(aio); }},
            {"write_all", [&](Aio& aio) { connection.write_all(aio); }},
            {"write_request", [&](Aio& aio) { connection.write_request(request, aio); }},
            {"write_response", [&](Aio& aio) { connection.write_response(response, aio); }},
            {"read_request", [&](Aio& aio) { connection.read_request(request, aio); }},
            {"read_response", [&](Aio& aio) { connection.read_response(response, aio); }},
        };
        if (session) {
            verbs.push_back({"content", [&](Aio& aio) { connection.read_content().read(aio); }});
            verbs.push_back({"write", [&](Aio& aio) { connection.write_content().write(aio); }});
            verbs.push_back({"finish", [&](Aio& aio) { connection.write_content().finish(aio); }});
        } else {
            verbs.resize(4);  // raw verbs need no session
        }
        scene.check(verbs, Errc::closed);
        connection.close();
    }
}

TEST_CASE_TEMPLATE("an http connection made over a stream whose engine was destroyed is closed",
                   Kernel, OnLinux, OnPoll) {
    LostEngine scene(Kernel::kKind);
    http::Connection connection(scene.connect());
    http::Request request("http://h/");
    scene.lost.reset();
    scene.check({{"read_request", [&](Aio& aio) { connection.read_request(request, aio); }}},
                Errc::closed);
}

TEST_CASE_TEMPLATE("an easy connection whose engine was destroyed is not connected", Kernel,
                   OnLinux, OnPoll) {
    LostEngine scene(Kernel::kKind);
    easy::Connection connection(*scene.lost);
    easy::Options options;
    options.proxy = "";
    const std::string url = "tcp://" + scene.listener.endpoint().to_string();
    {
        Aio aio(*scene.lost);
        connection.connect(url, options, aio);
        REQUIRE(!aio.wait());
    }
    scene.lost.reset();
    scene.check({{"send", [&](Aio& aio) { connection.send(aio); }},
                 {"send_all", [&](Aio& aio) { connection.send_all(aio); }},
                 {"receive", [&](Aio& aio) { connection.receive(aio); }},
                 {"receive_all", [&](Aio& aio) { connection.receive_all(aio); }},
                 {"wait_for", [&](Aio& aio) { connection.wait_for(Direction::send, aio); }}},
                Errc::not_connected);
    scene.check({{"connect", [&](Aio& aio) { connection.connect(url, options, aio); }}},
                Errc::closed);
    CHECK(connection.native_handle() == -1);
    connection.close();
}

}  // namespace uaio::lost_engine_test
