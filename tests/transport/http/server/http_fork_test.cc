// A handler that forks: the child returns from it into the parent's engine.
#include <uaio/http.h>

#include "tests/support/child_process.h"
#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"
#include "tests/support/server_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

namespace uaio::http_fork_test {

using namespace std::chrono_literals;

// In its own process: its child leaves the handler that forked.
std::string fork_in_a_handler(KernelKind kind) {
    auto engine = std::make_unique<Engine>(options_on(kind));
    auto server = std::make_unique<http::Server>(*engine);
    pid_t child = -1;
    server->handle("GET", "/", [&child](http::Exchange& exchange) {
        if (child < 0) child = ::fork();
        if (child != 0) exchange.respond("hi");  // in the child it would be misuse
    });
    RawPeer peer = RawPeer::connect_tcp(listen_on_loopback(*server));
    const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    peer.send(request + request);
    std::size_t answered = 0;
    try {
        while (answered < 2) {
            engine->run_once(10ms);
            peer.read_some();
            answered = 0;
            for (std::size_t at = 0;
                 (at = peer.received().find("\r\n\r\nhi", at)) != std::string::npos; ++at)
                ++answered;
        }
    } catch (const std::system_error& error) {
        if (child != 0) return error.what();
        server.reset();
        engine.reset();
        ::_exit(error.code() == Errc::engine_lost ? 0 : 3);
    }
    if (child == 0) ::_exit(4);
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return "no child was created";
    return status == 0 ? "" : "the child ended with status " + std::to_string(status);
}

TEST_CASE_TEMPLATE("a handler may fork, and the child gets engine_lost when it returns", Kernel,
                   OnLinux, OnPoll) {
    const ChildEnd end = run_in_child([] { return fork_in_a_handler(Kernel::kKind); });
    INFO(end.output);
    CHECK(end.succeeded());
}

}  // namespace uaio::http_fork_test
