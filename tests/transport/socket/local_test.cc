// Unix sockets: how listeners and connects treat names and files. stream_contract_test.cc tests
// their streams.
#include <uaio/argument_error.h>
#include <uaio/local.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/temporary_folder.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include <doctest/doctest.h>

namespace uaio::local_test {

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

Ended connect_to(Engine& engine, std::string_view path, StreamPtr& stream) {
    Operation connect(engine);
    local::connect(path, {}, connect.aio, stream);
    static_cast<void>(connect.aio.wait());
    return connect.ended();
}

TEST_CASE_TEMPLATE("both ends of a unix connection are streams", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    for (const std::string& each : {fresh_abstract_name(), path}) {
        local::Listener listener(engine, each);
        CHECK(listener.path() == each);
        StreamPtr server;
        StreamPtr client;
        Operation accept(engine);
        listener.accept(accept.aio, server);
        CHECK(connect_to(engine, each, client) == success(0));
        REQUIRE(!accept.aio.wait());
        Operation write(engine, "hello");
        client->write_all(write.aio);
        std::string in(5, '\0');
        Operation read(engine, in);
        server->read_all(read.aio);
        REQUIRE(!read.aio.wait());
        CHECK(in == "hello");
    }
}

// The error that a listener's constructor throws.
std::string refusal(Engine& engine, const std::string& path) {
    try {
        const local::Listener listener(engine, path);
    } catch (const std::system_error& error) {
        return error.what();
    }
    return {};
}

TEST_CASE_TEMPLATE(
    "the error of a unix listener says that the path is empty or that a file exists there", Kernel,
    OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    CHECK(refusal(engine, "").find("the socket path is empty") != std::string::npos);
    CHECK(refusal(engine, "").find("ADDRESS:PORT") == std::string::npos);
    const TemporaryFolder folder;
    std::ofstream(folder.at("file")) << "text";
    for (const std::string& path : {folder.at("file"), folder.at("")})
        CHECK(refusal(engine, path).find("remove the file") != std::string::npos);
}

TEST_CASE_TEMPLATE("the socket file exists as long as its listener", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(std::chrono::nanoseconds::zero());  // from now on this is the engine's thread
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    {
        const local::Listener listener(engine, path);
        CHECK(exists(path));
    }
    CHECK(!exists(path));
    local::Listener again(engine, path);
    CHECK(exists(path));
    again.close();
    CHECK(!exists(path));
}

TEST_CASE("a socket file without a listener is replaced") {
    Engine engine(options_on(KernelKind::epoll));
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    {
        // A server that crashed: the file remains.
        const RawPeer dead(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(dead.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    REQUIRE(exists(path));
    local::ListenOptions keep;
    keep.remove_stale = false;
    CHECK_THROWS_AS(local::Listener(engine, path, keep), std::system_error);
    const local::Listener listener(engine, path);
    StreamPtr client;
    CHECK(connect_to(engine, path, client) == success(0));
}

TEST_CASE("a path in use is refused, and the error names it") {
    Engine engine(options_on(KernelKind::epoll));
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    const local::Listener listener(engine, path);
    try {
        const local::Listener second(engine, path);
        FAIL("the call was not refused");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::address_in_use);
        CHECK(std::string(error.what()).find(path) != std::string::npos);
    }
    // The refused listener has not removed the file.
    StreamPtr client;
    CHECK(connect_to(engine, path, client) == success(0));
}

TEST_CASE("a file that is no socket is not replaced") {
    Engine engine(options_on(KernelKind::epoll));
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    std::ofstream(path) << "precious";
    CHECK_THROWS_AS(local::Listener(engine, path), std::system_error);
    std::string text;
    std::ifstream(path) >> text;
    CHECK(text == "precious");
}

TEST_CASE("a path of 108 bytes or none is refused") {
    Engine engine(options_on(KernelKind::epoll));
    StreamPtr client;
    const std::string longest = "@" + std::string(106, 'x');
    const local::Listener listener(engine, longest);
    CHECK(connect_to(engine, longest, client) == success(0));
    client.reset();
    const std::string too_long = longest + "x";
    try {
        const local::Listener refused(engine, too_long);
        FAIL("the call was not refused");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::filename_too_long);
    }
    CHECK(connect_to(engine, too_long, client) == failure({ENAMETOOLONG, std::system_category()}));
    CHECK_THROWS_AS(local::Listener(engine, ""), std::system_error);
    CHECK(connect_to(engine, "", client) == failure(ArgumentErrc::invalid_endpoint));
    CHECK(!client);
}

TEST_CASE("a path that contains a NUL is refused, but not an abstract name") {
    Engine engine(options_on(KernelKind::epoll));
    const TemporaryFolder folder;
    const std::string path = folder.at("socket") + std::string("\0more", 5);
    try {
        const local::Listener refused(engine, path);
        FAIL("the call was not refused");
    } catch (const std::system_error& error) {
        CHECK(error.code() == ArgumentErrc::invalid_endpoint);
    }
    CHECK(!exists(folder.at("socket")));
    StreamPtr client;
    const local::Listener listener(engine, folder.at("socket"));
    CHECK(connect_to(engine, path, client) == failure(ArgumentErrc::invalid_endpoint));
    CHECK(!client);
    const std::string name = fresh_abstract_name();
    const local::Listener one(engine, name + std::string("\0a", 2));
    const local::Listener other(engine, name + std::string("\0b", 2));
    CHECK(connect_to(engine, name + std::string("\0b", 2), client) == success(0));
}

TEST_CASE_TEMPLATE("a connect to a path without a server ends with its errno (X-5)", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    StreamPtr client;
    CHECK(connect_to(engine, path, client) == failure({ENOENT, std::system_category()}));
    CHECK(connect_to(engine, fresh_abstract_name(), client) ==
          failure({ECONNREFUSED, std::system_category()}));
    CHECK(!client);
}

TEST_CASE("an acceptor factory listens on the engine that is passed to it") {
    Engine engine(options_on(KernelKind::epoll));
    const std::string path = fresh_abstract_name();
    const AcceptorFactory factory = local::acceptor(path);
    const std::unique_ptr<Acceptor> acceptor = factory(engine);
    StreamPtr server;
    Operation accept(engine);
    acceptor->accept(accept.aio, server);
    StreamPtr client;
    CHECK(connect_to(engine, path, client) == success(0));
    REQUIRE(!accept.aio.wait());
    CHECK(server);
}

}  // namespace uaio::local_test
