#include "transport/proxy/header.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string_view>

namespace uaio::proxy {
namespace {

// Address and port in network byte order.
struct Bytes {
    std::string_view address;
    std::string_view port;
};

Bytes bytes_of(const sockaddr_storage& storage) noexcept {
    const auto view = [](const auto& field) {
        return std::string_view(reinterpret_cast<const char*>(&field), sizeof field);
    };
    if (storage.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
        return {view(v6.sin6_addr), view(v6.sin6_port)};
    }
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    return {view(v4.sin_addr), view(v4.sin_port)};
}

std::string host_of(const sockaddr_storage& storage) {
    char name[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(storage.ss_family, bytes_of(storage).address.data(), name, sizeof name);
    return name;
}

std::string port_of(const sockaddr_storage& storage) {
    const std::string_view port = bytes_of(storage).port;
    const auto byte = [&](int at) {
        return static_cast<unsigned>(static_cast<unsigned char>(port[at]));
    };
    return std::to_string(byte(0) << 8 | byte(1));
}

}  // namespace

std::string header(ProxyHeader version, const sockaddr_storage& source,
                   const sockaddr_storage& destination) {
    if (version == ProxyHeader::none) return {};
    const bool six = source.ss_family == AF_INET6;
    const bool known =
        source.ss_family == destination.ss_family && (six || source.ss_family == AF_INET);
    if (version == ProxyHeader::v1) {
        if (!known) return "PROXY UNKNOWN\r\n";
        return std::string(six ? "PROXY TCP6 " : "PROXY TCP4 ") + host_of(source) + ' ' +
               host_of(destination) + ' ' + port_of(source) + ' ' + port_of(destination) + "\r\n";
    }
    constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
    std::string out(kSignature);
    if (!known) {
        out.append("\x20\0\0\0", 4);  // LOCAL: the connection is the proxy's own, without addresses
        return out;
    }
    const Bytes from = bytes_of(source);
    const Bytes to = bytes_of(destination);
    const std::size_t size = from.address.size() + to.address.size() + 2 * from.port.size();
    out += '\x21';                 // version 2, PROXY
    out += six ? '\x21' : '\x11';  // the family, STREAM
    out += '\0';
    out += static_cast<char>(size);
    out.append(from.address).append(to.address).append(from.port).append(to.port);
    DCHECK(out.size() == kSignature.size() + 4 + size);
    return out;
}

}  // namespace uaio::proxy
