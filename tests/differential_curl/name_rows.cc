// Names, races of addresses, unix sockets, and the choice of a proxy.
#include "tests/differential_curl/row.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace uaio {
namespace {

constexpr const char* kRace =
    "addresses of one family are raced, too; libcurl gives the first one half of the timeout";

using Clock = std::chrono::steady_clock;

// A listening socket of this address whose backlog is full: a connect to it gets no answer.
class BlackHole {
public:
    BlackHole(int family, const char* address, std::uint16_t port) {
        sockaddr_storage storage{};
        socklen_t size = sizeof(sockaddr_in);
        if (family == AF_INET6) {
            auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
            v6.sin6_port = htons(port);
            ::inet_pton(family, address, &v6.sin6_addr);
            size = sizeof v6;
        } else {
            auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
            v4.sin_port = htons(port);
            ::inet_pton(family, address, &v4.sin_addr);
        }
        storage.ss_family = static_cast<sa_family_t>(family);
        const auto* const bound = reinterpret_cast<const sockaddr*>(&storage);
        listener_ = open(family);
        const int yes = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        works_ = ::bind(listener_, bound, size) == 0 && ::listen(listener_, 0) == 0;
        // A backlog of 0 has room for one; the other connects stay pending.
        for (int& each : fillers_) {
            each = open(family);
            static_cast<void>(::connect(each, bound, size));
        }
    }
    ~BlackHole() {
        for (const int each : fillers_)
            ::close(each);
        ::close(listener_);
    }
    BlackHole(const BlackHole&) = delete;
    BlackHole& operator=(const BlackHole&) = delete;

    bool works() const { return works_; }

private:
    static int open(int family) {
        return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }

    int listener_;
    int fillers_[4];
    bool works_;
};

// A listening socket of 127.0.0.1, and a hole with the same port at another address.
struct ListenerAndHole {
    ListenerAndHole(int family, const char* address)
        : hole(family, address, listener.endpoint().port()) {}

    RawListener listener;
    BlackHole hole;
};

// Retries, since another process may use the port at the other address.
std::unique_ptr<ListenerAndHole> make_hole(int family, const char* address) {
    std::vector<std::unique_ptr<ListenerAndHole>> taken;
    for (int round = 0; round < 20; ++round) {
        auto made = std::make_unique<ListenerAndHole>(family, address);
        if (made->hole.works()) return made;
        taken.push_back(std::move(made));
    }
    throw std::runtime_error(std::string("this machine has no ") + address);
}

// Connects to a name with these addresses; returns the duration.
std::chrono::milliseconds connect_to_any(Scene& at, const RawListener& listener,
                                         const std::string& addresses) {
    const std::string port = std::to_string(listener.endpoint().port());
    at.setup.resolve = {"both.test:" + port + ":" + addresses};
    const Clock::time_point begin = Clock::now();
    at.connect_to("http://both.test:" + port);
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
}

// One connect at a time through a dead proxy: 7, or 0 for a host that bypasses it.
class Bypass {
public:
    explicit Bypass(Scene& at) : at_(at) {}

    void connect(const std::string& host, const std::string& no_proxy) {
        const int port = at_.listener.endpoint().port();
        at_.name_it(host, port);
        at_.setup.proxy = "http://" + dead_.place();
        at_.setup.no_proxy = no_proxy;
        const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
        at_.connect_to("http://" + name + ":" + std::to_string(port));
    }

private:
    Scene& at_;
    const DeadPort dead_;
};

// Sets environment variables for its lifetime.
class Environment {
public:
    explicit Environment(const std::vector<std::pair<std::string, std::string>>& variables) {
        for (const auto& [name, value] : variables) {
            names_.push_back(name);
            ::setenv(name.c_str(), value.c_str(), 1);
        }
    }
    ~Environment() {
        for (const std::string& name : names_)
            ::unsetenv(name.c_str());
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

private:
    std::vector<std::string> names_;
};

void connect_in(Scene& at, const std::vector<std::pair<std::string, std::string>>& variables,
                const std::optional<std::string>& no_proxy = {}) {
    const Environment environment(variables);
    at.setup.proxy.reset();
    at.setup.no_proxy = no_proxy;
    at.connect();
}

}  // namespace

Rows name_rows() {
    return {
        {"24 a name that does not exist",
         [](Scene& at) {
             at.connect_to("http://no-such.invalid:80");
             at.send(5);
         },
         {"6", "1,0"},
         {"6", "1,0"},
         ""},
        {"65 a unix socket",
         [](Scene& at) {
             const UnixListener there;
             at.setup.unix_path = there.path();
             at.connect_to("http://origin.test:80");
             const std::unique_ptr<SocketLine> peer = accept_line(there.fd());
             at.send(5);
             at.note(peer->read(5));
         },
         {"0", "0,5", "sssss"},
         {"0", "0,5", "sssss"},
         ""},
        {"65 a SOCKS proxy on a unix socket",
         [](Scene& at) {
             const UnixListener there;
             at.setup.proxy = "socks5h://localhost" + there.path();
             const auto peer = at.connect_to("http://origin.test:80", [&there](Scene&) {
                 std::unique_ptr<SocketLine> line = accept_line(there.fd());
                 const std::string greeting = line->read(2);
                 line->read(static_cast<unsigned char>(greeting.at(1)));
                 line->send(std::string("\5\0", 2));
                 line->read(5 + std::strlen("origin.test") + 2);
                 line->send(std::string("\5\0\0\1\0\0\0\0\0\0", 10));
                 return line;
             });
             at.send(5);
             at.note(peer->read(5));
         },
         {"0", "0,5", "sssss"},
         {"0", "0,5", "sssss"},
         ""},
        {"66 the PROXY protocol",
         [](Scene& at) {
             at.setup.announces = true;
             at.connect();
             const std::unique_ptr<SocketLine> peer = at.accept_line();
             at.send(5);
             const std::string line = peer->read_until("\r\n");
             sockaddr_in own{};
             socklen_t size = sizeof own;
             ::getsockname(at.driver.socket(), reinterpret_cast<sockaddr*>(&own), &size);
             const std::string expected = "PROXY TCP4 127.0.0.1 127.0.0.1 " +
                                          std::to_string(ntohs(own.sin_port)) + " " +
                                          std::to_string(at.listener.endpoint().port()) + "\r\n";
             at.note(line == expected ? "with both ports" : line);
             at.note(peer->read(5));
         },
         {"0", "0,5", "with both ports", "sssss"},
         {"0", "0,5", "with both ports", "sssss"},
         ""},
    };
}

Rows race_rows() {
    return {
        {"67 an address that refuses, and one that accepts",
         [](Scene& at) {
             connect_to_any(at, at.listener, "[::1],127.0.0.1");
             at.send(5);
             at.note(at.accept_line()->read(5));
         },
         {"0", "0,5", "sssss"},
         {"0", "0,5", "sssss"},
         ""},
        {"67 an IPv6 address that is silent, and an IPv4 address after 200 ms",
         [](Scene& at) {
             const std::unique_ptr<ListenerAndHole> two = make_hole(AF_INET6, "::1");
             const auto took = connect_to_any(at, two->listener, "[::1],127.0.0.1");
             at.note(took >= std::chrono::milliseconds(190) ? "waited" : "not delayed");
             at.send(5);
             at.note(accept_line(two->listener.fd())->read(5));
         },
         {"0", "waited", "0,5", "sssss"},
         {"0", "waited", "0,5", "sssss"},
         ""},
        {"67 two IPv4 addresses, the first silent",
         [](Scene& at) {
             const std::unique_ptr<ListenerAndHole> two = make_hole(AF_INET, "127.0.0.3");
             at.setup.connect_timeout = std::chrono::seconds(4);
             const auto took = connect_to_any(at, two->listener, "127.0.0.3,127.0.0.1");
             at.note(took >= std::chrono::milliseconds(190) ? "waited" : "not delayed");
             at.note(took >= std::chrono::seconds(2) ? "half of the timeout" : "less");
         },
         {"0", "waited", "half of the timeout"},
         {"0", "waited", "less"},
         kRace},
    };
}

Rows environment_rows() {
    return {
        {"68 hosts excluded by a list of names",
         [](Scene& at) {
             Bypass through(at);
             through.connect("www.example.test", "");
             through.connect("www.example.test", "*");
             through.connect("www.example.test", "www.example.test");
             through.connect("www.example.test", "example.test");
             through.connect("www.example.test", ".example.test");
             through.connect("www.example.test", "EXAMPLE.TEST");
             through.connect("www.example.test", "example.test.");
             through.connect("www.example.test", "ample.test");
             through.connect("www.example.test", "*.example.test");
             through.connect("www.example.test", "other.test,example.test");
             through.connect("www.example.test", "other.test example.test");
             through.connect("www.example.test", "other.test, *");
             through.connect("example.test", ".example.test");
             through.connect("example.test", "www.example.test");
         },
         {"7", "0", "0", "0", "0", "0", "0", "7", "7", "0", "0", "7", "0", "7"},
         {"7", "0", "0", "0", "0", "0", "0", "7", "7", "0", "0", "7", "0", "7"},
         ""},
        {"68 hosts excluded by a list of addresses",
         [](Scene& at) {
             Bypass through(at);
             through.connect("127.0.0.1", "127.0.0.1");
             through.connect("127.0.0.1", "127.0.0.0/8");
             through.connect("127.0.0.1", "127.0.0.0/31");
             through.connect("127.0.0.1", "127.0.0.2/32");
             through.connect("127.0.0.1", "10.0.0.0/8");
             through.connect("127.0.0.1", "0.0.1");
             through.connect("127.0.0.1",
                             "127.0.0.1:" + std::to_string(at.listener.endpoint().port()));
         },
         {"0", "0", "0", "7", "7", "7", "7"},
         {"0", "0", "0", "7", "7", "7", "7"},
         ""},
        {"68 proxies of the environment",
         [](Scene& at) {
             const DeadPort dead;
             const std::string proxy = "http://" + dead.place();
             connect_in(at, {});
             connect_in(at, {{"http_proxy", proxy}});
             connect_in(at, {{"HTTP_PROXY", proxy}});
             connect_in(at, {{"all_proxy", proxy}});
             connect_in(at, {{"ALL_PROXY", proxy}});
             connect_in(at, {{"https_proxy", proxy}});
             connect_in(at, {{"http_proxy", proxy}, {"no_proxy", "127.0.0.1"}});
             connect_in(at, {{"http_proxy", proxy}, {"NO_PROXY", "127.0.0.1"}});
             connect_in(at, {{"http_proxy", proxy}, {"no_proxy", "*"}}, "");
             connect_in(at, {{"http_proxy", proxy}}, "127.0.0.1");
             connect_in(at, {{"http_proxy", "http://no-such.invalid"}, {"all_proxy", proxy}});
         },
         {"0", "7", "0", "7", "7", "0", "0", "0", "7", "0", "5"},
         {"0", "7", "0", "7", "7", "0", "0", "0", "7", "0", "5"},
         ""},
    };
}

}  // namespace uaio
