// A server of files in a process with a low limit of descriptors.
#include <uaio/http_files.h>
#include <uaio/http_server.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_folder.h"
#include "transport/http/server/descriptor_budget.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <fstream>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_descriptor_test {

using http::DescriptorBudget;

// The highest number, of 1000, of a connection's descriptor that leaves room.
int last_with_room() {
    int newest = 999;
    while (newest >= 0 && !DescriptorBudget::has_room(newest, 8))
        --newest;
    return newest;
}

std::string keep_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 1000;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return "the limit could not be set";
    std::deque<DescriptorBudget::Connection> connections(10);
    if (last_with_room() != 990)
        return "a server without files does not reserve the spare descriptors";
    const DescriptorBudget::Files handler;
    if (last_with_room() != 980) return "the server does not reserve a file for each connection";
    while (connections.size() < 500)
        connections.emplace_back();
    if (last_with_room() != 865)
        return "the server does not reserve files for an eighth of many connections";
    return DescriptorBudget::has_room(1'000'000, 8) ? "" : "a simulated descriptor is counted";
}

TEST_CASE("a file server reserves descriptors for every connection, or for one in eight of many") {
    const ChildEnd end = run_in_child(&keep_descriptors);
    INFO(end.output);
    CHECK(end.succeeded());
}

constexpr int kClients = 500;
constexpr std::size_t kFileSize = 200'000;

// Clients in a child process, which exits with 0 if each got the whole file. They all connect
// before any reads, and keep their connections if the server does.
[[noreturn]] void run_clients(const Endpoint& server) {
    std::vector<int> clients;
    const std::string request = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0; i < kClients; ++i) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        if (::connect(fd, server.address(), server.size()) != 0) ::_exit(2);
        if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) ::_exit(3);
        clients.push_back(fd);
    }
    std::vector<char> buffer(64 * 1024);
    for (const int fd : clients) {
        std::string received;
        for (;;) {
            const std::size_t head_end = received.find("\r\n\r\n");
            if (head_end != received.npos && received.size() >= head_end + 4 + kFileSize) break;
            const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
            if (size <= 0) ::_exit(4);
            received.append(buffer.data(), static_cast<std::size_t>(size));
        }
        if (!received.starts_with("HTTP/1.1 200 ")) ::_exit(5);
    }
    ::_exit(0);
}

std::string serve_with_few_descriptors(KernelKind kind, const std::string& folder) {
    int port_pipe[2];
    if (::pipe(port_pipe) != 0) return "pipe";
    const pid_t clients = ::fork();
    if (clients == 0) {
        Endpoint server;
        if (::read(port_pipe[0], &server, sizeof server) != sizeof server) ::_exit(1);
        run_clients(server);
    }
    EngineOptions options;
    options.kernel = kind;
    Engine engine(options);
    http::Server server(engine);
    server.handle("GET", "/", http::directory(folder)).prefix();
    const tcp::Acceptors acceptors = tcp::acceptor(Endpoint::loopback(0));
    server.listen(acceptors);
    if (!limit_descriptors(24)) return "the limit could not be set";
    const Endpoint endpoint = acceptors.local_endpoint();
    if (::write(port_pipe[1], &endpoint, sizeof endpoint) != sizeof endpoint) return "write";
    int status = 0;
    while (::waitpid(clients, &status, WNOHANG) == 0)
        engine.run_once(std::chrono::milliseconds(10));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
    return "the clients ended with " + std::to_string(status);
}

TEST_CASE_TEMPLATE("a file server with few descriptors accepts fewer connections and serves all",
                   Kernel, OnLinux, OnPoll) {
    const KernelKind kind = options_on(Kernel::kKind).kernel;
    const TemporaryFolder folder;
    std::ofstream(folder.at("file")) << std::string(kFileSize, 'x');
    const std::string path = folder.path();
    const ChildEnd end =
        run_in_child([kind, &path] { return serve_with_few_descriptors(kind, path); });
    INFO(end.output);
    CHECK(end.succeeded());
}

}  // namespace uaio::http_descriptor_test
