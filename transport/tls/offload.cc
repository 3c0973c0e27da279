#include <uaio/tls.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <string>

namespace uaio::tls {
namespace {

// A connection on loopback, since TCP_ULP requires a connected socket.
struct Pair {
    Pair() noexcept {
        listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener, generic, size) != 0 || ::listen(listener, 1) != 0 ||
            ::getsockname(listener, generic, &size) != 0) {
            return;
        }
        client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        connected = ::connect(client, generic, size) == 0;
    }
    ~Pair() {
        ::close(client);
        ::close(listener);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    int listener = -1;
    int client = -1;
    bool connected = false;
};

struct Probe {
    Probe() {
        const Pair pair;
        if (!pair.connected) {
            text = "no connection on the loopback interface could be opened for the test";
            return;
        }
        if (::setsockopt(pair.client, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0) {
            available = true;
            text = "the kernel supports it; ContextOptions::offload enables it";
            return;
        }
        // ENOENT: no such protocol, and no module of that name (net/ipv4/tcp_ulp.c).
        text = errno == ENOENT
                   ? "the kernel has no tls module (CONFIG_TLS); run `modprobe tls`, or use "
                     "another kernel"
                   : "setsockopt(TCP_ULP, \"tls\"): " + std::system_category().message(errno);
    }

    bool available = false;
    std::string text;
};

}  // namespace

Offload offload() noexcept {
    // Never destroyed, so its text stays valid.
    alignas(Probe) static std::byte storage[sizeof(Probe)];
    static const Probe& probe = *::new (static_cast<void*>(storage)) Probe;
    return {probe.available, probe.text};
}

}  // namespace uaio::tls
