// The oracle of the matrix can fail: planted faults are found.
#include <uaio/tcp.h>

#include "tests/matrix/server_scene.h"
#include "tests/support/allocations.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace uaio::matrix::self_check_test {

const Phase& phase_named(std::string_view name) {
    for (const Phase& phase : server_phases()) {
        if (phase.name == name) return phase;
    }
    FAIL(name);
    return server_phases().front();
}

std::string play(const http::ServerOptions& options, std::string_view phase, Behaviour behaviour) {
    const Phase& found = phase_named(phase);
    return ServerScene(plain_transport(), options)
        .play(found, behaviour, found.cells[static_cast<std::size_t>(behaviour)]);
}

bool has(const std::string& faults, std::string_view what) {
    CAPTURE(faults);
    CAPTURE(what);
    CHECK(faults.find(what) != std::string::npos);
    return faults.find(what) != std::string::npos;
}

TEST_CASE("the matrix reports a server without a deadline in each phase that has one") {
    CHECK(has(play({.head_timeout = kNoTimeout}, "request head", Behaviour::stall), "pending"));
    CHECK(has(play({.idle_timeout = kNoTimeout}, "idle kept connection", Behaviour::stall),
              "pending"));
    CHECK(has(play({.content_timeout = kNoTimeout}, "request content, collected", Behaviour::drip),
              "pending"));
    CHECK(has(play({.send_timeout = kNoTimeout}, "response content", Behaviour::stop_reading),
              "the peer receives no end"));
    CHECK(has(play({.linger_timeout = kNoTimeout}, "closing, with content that is refused",
                   Behaviour::stall),
              "sockets are left"));
}

TEST_CASE("the matrix reports a deadline that expires too early") {
    CHECK(has(play({.head_timeout = 5s}, "request head", Behaviour::stall), "took 7 s"));
}

TEST_CASE("the matrix reports a wrong status") {
    Phase phase = phase_named("request head");
    CHECK(has(ServerScene(plain_transport()).play(phase, Behaviour::garbage, answers(200, 0s)),
              "status 400"));
}

TEST_CASE("the matrix reports leaked memory, descriptors, sockets and operations") {
    Scene scene(plain_transport());
    scene.remember_idle();
    CHECK(scene.leftovers() == "");
    CHECK(scene.is_idle());
    const std::unique_ptr<char[]> memory(new char[2 * kIdleMemory]);
    const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    tcp::Listener listener(scene.engine, Endpoint::loopback(0));
    StreamPtr stream;
    Aio accepting(scene.engine);
    listener.accept(accepting, stream);
    scene.settle();
    const std::string found = scene.leftovers();
    CHECK(has(found, "operations are left"));
    CHECK(has(found, "1 sockets are left"));
    CHECK(has(found, "1 descriptors are left"));
    CHECK(has(found, "1 Aios are in flight"));
    if (allocations_are_counted()) CHECK(has(found, "bytes of memory are left"));
    CHECK(!scene.is_idle());
    ::close(descriptor);
    listener.close();
    scene.settle();
    CHECK(scene.is_idle());
}

}  // namespace uaio::matrix::self_check_test
