// Files that change while they are served, and paths that are no files: no other connection is
// affected, and the engine never blocks.
#include "tests/support/allocations.h"
#include "tests/support/file_changes.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace uaio::http_file_change_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE("a file that changes while it is served affects only its own response", Kernel,
                   OnLinux, OnPoll) {
    check_file_changes(Kernel::kKind);
}

TEST_CASE("a file is served whole although its reads are short and interrupted") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const ChangingFile folder(ChangingFile::kLarge / 2);
        FileScene scene(OnSim::kKind, {},
                        {.short_write = 100,
                         .short_read = 300,
                         .interrupted_operation = 100,
                         .latency_max = 1ms},
                        seed);
        scene.serve(http::file(folder.at("changing")));
        FileClient client(scene);
        CHECK(client.get("/") == 200);
        CHECK(client.content() == folder.content);
    }
}

TEST_CASE("a response ends when the client or the server closes during a read of its file") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const ChangingFile folder(ChangingFile::kLarge);
        FileScene scene(OnSim::kKind, {}, {.latency_max = 1ms}, seed);
        scene.serve(http::file(folder.at("changing")));
        {
            FileClient client(scene);
            client.ask("/");
            client.receive(seed * 1000);
        }
        REQUIRE(scene.run_until([&] { return scene.server().connections() == 0; }));
        FileClient client(scene);
        client.ask("/");
        client.receive(seed * 1000);
        scene.drop_server();
        client.receive_rest();
        CHECK(!client.whole());
    }
}

TEST_CASE_TEMPLATE("a response in which an allocation fails contains the whole file or becomes 500",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    for (const std::size_t size : {std::size_t{1000}, ChangingFile::kLarge / 4}) {
        const ChangingFile folder(size);
        FileScene scene(Kernel::kKind);
        const http::Handler handler = http::directory(folder.path(), {.keep = 0s});
        std::uint64_t others = 0;
        bool failed = true;
        scene.serve([&](http::Exchange& exchange) {
            fail_allocation_behind(others);
            try {
                handler(exchange);
                failed = stop_failing();
            } catch (...) {
                failed = stop_failing();
                throw;
            }
        });
        for (; failed && others < 200; ++others) {
            FileClient client(scene);
            client.ask("/changing");
            client.receive(1);
            if (client.end()) continue;  // there was no memory for the head
            client.receive_rest();
            CAPTURE(others);
            CHECK((client.status() == 500 ||
                   (client.status() == 200 && client.content() == folder.content)));
        }
        CHECK(!failed);
        CHECK(FileClient(scene).get("/changing") == 200);
    }
}

TEST_CASE("a failed read of a file becomes 500, or ends the response that has begun") {
    const ChangingFile folder(ChangingFile::kLarge);
    FileScene scene(OnSim::kKind);
    scene.serve(http::file(folder.at("changing")));
    FileClient client(scene);
    scene.kernel().script_error(SimCall::read, EIO);
    CHECK(client.get("/") == 500);
    CHECK(client.head().find("ETag") == std::string::npos);
    client.ask("/");
    client.receive_head();
    scene.kernel().script_error(SimCall::read, EIO);
    client.receive_rest();
    CHECK(!client.whole());
    CHECK(folder.content.starts_with(client.content()));
    REQUIRE(scene.run_until([&] { return scene.errors.size() == 2; }));
    CHECK(scene.errors[1] == std::errc::io_error);
    CHECK(scene.messages.size() == 2);
    CHECK(FileClient(scene).get("/") == 200);
}

TEST_CASE_TEMPLATE("a path that is not a regular file is answered with 404, and does not block",
                   Kernel, OnLinux, OnPoll) {
    const ChangingFile folder(10);
    REQUIRE(::mkfifo(folder.at("fifo").c_str(), 0644) == 0);
    REQUIRE(::mkfifo(folder.at("full").c_str(), 0644) == 0);
    const int writer = ::open(folder.at("full").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(::write(writer, "x", 1) == 1);
    REQUIRE(::mkdir(folder.at("folder").c_str(), 0755) == 0);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, folder.at("socket").c_str());
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::symlink("/dev/zero", folder.at("device").c_str()) == 0);
    REQUIRE(::symlink("loop", folder.at("loop").c_str()) == 0);
    for (const char* name : {"fifo", "full", "folder", "socket", "device", "loop", "none"}) {
        CAPTURE(name);
        FileScene one(Kernel::kKind);
        one.serve(http::file(folder.at(name)));
        CHECK(FileClient(one).get("/") == 404);
    }
    FileScene scene(Kernel::kKind);
    scene.serve(http::directory(folder.path()));
    FileClient client(scene);
    for (const char* target : {"/fifo", "/full", "/folder/", "/socket", "/device", "/loop", "/"}) {
        CAPTURE(target);
        CHECK(client.get(target) == 404);
    }
    CHECK(client.get("/other") == 200);
    ::close(socket);
    ::close(writer);
}

TEST_CASE_TEMPLATE("a file of size 0 is served empty, and one shorter than its size becomes 500",
                   Kernel, OnLinux, OnPoll) {
    FileScene scene(Kernel::kKind);
    scene.serve(http::file("/proc/self/status"));
    FileClient client(scene);
    CHECK(client.get("/") == 200);
    CHECK(client.length() == 0);
    // Files of sysfs report the size of a page, whatever their content.
    const std::string odd = "/sys/kernel/mm/transparent_hugepage/enabled";
    if (::access(odd.c_str(), R_OK) != 0) return report_skip("the kernel has no such file");
    FileScene second(Kernel::kKind);
    second.serve(http::file(odd));
    FileClient again(second);
    CHECK(again.get("/") == 500);
    CHECK(again.head().find("ETag") == std::string::npos);
    CHECK(second.messages.size() == 1);
    CHECK(again.get("/") == 500);
}

// While it lives, this thread opens files as another user (setfsuid(2)); root may read everything.
class AsUnprivilegedUser {
public:
    AsUnprivilegedUser() : before_(::setfsuid(65534)) {}
    ~AsUnprivilegedUser() { ::setfsuid(static_cast<uid_t>(before_)); }
    AsUnprivilegedUser(const AsUnprivilegedUser&) = delete;
    AsUnprivilegedUser& operator=(const AsUnprivilegedUser&) = delete;

private:
    const int before_;
};

TEST_CASE_TEMPLATE("a file without read permission is answered with 403", Kernel, OnLinux, OnPoll) {
    const ChangingFile folder(10);
    REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
    REQUIRE(::mkdir(folder.at("closed").c_str(), 0700) == 0);
    folder.write("closed/file", "x");
    REQUIRE(::chmod(folder.at("changing").c_str(), 0) == 0);
    if (::geteuid() != 0) REQUIRE(::chmod(folder.at("closed").c_str(), 0) == 0);
    FileScene scene(Kernel::kKind);
    scene.serve(http::directory(folder.path(), {.keep = 0s}));
    FileClient client(scene);
    {
        const AsUnprivilegedUser unprivileged;
        CHECK(client.get("/changing") == 403);
        CHECK(client.get("/closed/file") == 403);
        CHECK(client.get("/other") == 200);
    }
    REQUIRE(::chmod(folder.at("changing").c_str(), 0644) == 0);
    REQUIRE(::chmod(folder.at("closed").c_str(), 0755) == 0);
    CHECK(client.get("/changing") == 200);
}

}  // namespace uaio::http_file_change_test
