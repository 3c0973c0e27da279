// HTTPS proxies.
#include "tests/differential_curl/tls_scene.h"

namespace uaio {
namespace {

// Connects to `target` through a TLS peer that reads a CONNECT and answers it.
std::unique_ptr<TlsLine> connect_through(Scene& at, const std::string& answer,
                                         const std::string& target = "http://origin.test:80") {
    at.setup.proxy = "https://" + at.place();
    if (at.setup.proxy_tls.authorities.empty()) {
        at.setup.proxy_tls.authorities = test_authority().certificate();
    }
    const TlsServer server;
    const bool secure = target.starts_with("https:");
    return at.connect_to(target, [&](Scene& scene) {
        auto line = std::make_unique<TlsLine>(scene.accept_line(), server);
        if (!line->shake_hands()) return line;
        line->read_until("\r\n\r\n");
        line->send(answer);
        if (!secure) return line;
        line = std::make_unique<TlsLine>(std::move(line), server);
        line->shake_hands();
        return line;
    });
}

// Five bytes each way.
void exchange(Scene& at, Line& peer) {
    at.send(5);
    at.note(peer.read(5));
    peer.send("bytes");
    at.wait();
    at.receive(5);
}

constexpr const char* kTunnelGranted = "HTTP/1.1 200 OK\r\n\r\n";

constexpr const char* kCause =
    "the reason why a target is not trusted is reported; libcurl loses it with TLS in TLS";

}  // namespace

Rows tls_proxy_rows() {
    return {
        {"57 an HTTPS proxy",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_through(at, kTunnelGranted);
             exchange(at, *peer);
         },
         {"0", "0,5", "sssss", "0,5"},
         {"0", "0,5", "sssss", "0,5"},
         ""},
        {"57 bytes in the record of an HTTPS proxy's response",
         [](Scene& at) {
             const auto peer = connect_through(at, std::string(kTunnelGranted) + "early");
             at.readable();
             at.receive(5);
             at.note_received();
         },
         {"0", "not readable", "0,5", "early"},
         {"0", "not readable", "0,5", "early"},
         ""},
        {"57 TLS inside the TLS of an HTTPS proxy",
         [](Scene& at) {
             at.setup.tls.authorities = test_authority().certificate();
             const auto peer = connect_through(at, kTunnelGranted, "https://127.0.0.1:443");
             exchange(at, *peer);
         },
         {"0", "0,5", "sssss", "0,5"},
         {"0", "0,5", "sssss", "0,5"},
         ""},
        {"57 an untrusted HTTPS proxy",
         [](Scene& at) {
             at.setup.proxy_tls.authorities = TestAuthority("another").certificate();
             connect_through(at, kTunnelGranted);
             at.setup.proxy_tls.verify_peer = false;
             connect_through(at, kTunnelGranted);
         },
         {"60", "0"},
         {"60", "0"},
         ""},
        {"57 an untrusted target behind a trusted HTTPS proxy",
         [](Scene& at) {
             at.setup.tls.authorities = TestAuthority("another").certificate();
             connect_through(at, kTunnelGranted, "https://127.0.0.1:443");
         },
         {"35"},
         {"60"},
         kCause},
        {"57 an HTTPS proxy that refuses",
         [](Scene& at) {
             connect_through(at, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
             at.note(std::to_string(at.driver.connect_code()));
             at.send(5);
         },
         {"56", "403", "1,0"},
         {"56", "403", "1,0"},
         ""},
    };
}

}  // namespace uaio
