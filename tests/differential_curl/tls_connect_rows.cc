// Handshakes that fail, and verification of the peer.
#include "tests/differential_curl/tls_scene.h"

namespace uaio {
namespace {

constexpr const char* kRaw = "no protocol is offered by ALPN, since the caller's bytes define it";

using Fate = std::function<void(std::unique_ptr<SocketLine>)>;

// The peer receives the beginning of a handshake, and then runs `fate`.
void after_hello(Scene& at, const Fate& fate) {
    at.setup.tls.authorities = test_authority().certificate();
    at.connect_to("https://" + at.place(), [&fate](Scene& scene) {
        std::unique_ptr<SocketLine> line = scene.accept_line();
        line->receive();
        fate(std::move(line));
        return true;
    });
}

TlsServer elsewhere() {
    TlsServer server;
    server.certificate = test_authority().issue({.name = "elsewhere", .names = {"DNS:elsewhere"}});
    return server;
}

void wants_certificate(Scene& at, int version) {
    TlsServer server;
    server.wants_certificate = true;
    server.max_version = version;
    const std::unique_ptr<TlsLine> peer = connect_tls(at, server);
    if (version == TLS1_2_VERSION) return;
    at.wait();
    at.receive(5);
    at.receive(5);
}

}  // namespace

Rows tls_trust_rows() {
    return {
        {"42 an untrusted authority",
         [](Scene& at) {
             at.setup.tls.authorities = TestAuthority("another").certificate();
             connect_tls(at);
         },
         {"60"},
         {"60"},
         ""},
        {"42 a certificate for another name",
         [](Scene& at) { connect_tls(at, elsewhere()); },
         {"60"},
         {"60"},
         ""},
        {"42 an untrusted authority, and only the name is verified",
         [](Scene& at) {
             at.setup.tls.authorities = TestAuthority("another").certificate();
             at.setup.tls.verify_peer = false;
             connect_tls(at);
         },
         {"0"},
         {"0"},
         ""},
        {"42 another name, and only the authority is verified",
         [](Scene& at) {
             at.setup.tls.verify_name = false;
             connect_tls(at, elsewhere());
         },
         {"0"},
         {"0"},
         ""},
        {"42 nothing is verified",
         [](Scene& at) {
             at.setup.tls.authorities = TestAuthority("another").certificate();
             at.setup.tls.verify_peer = false;
             at.setup.tls.verify_name = false;
             connect_tls(at, elsewhere());
         },
         {"0"},
         {"0"},
         ""},
        {"43 the pinned key",
         [](Scene& at) {
             at.setup.tls.pin = TestAuthority::pin_of(test_certificate().chain);
             connect_tls(at);
         },
         {"0"},
         {"0"},
         ""},
        {"43 another key than the pinned one, even if nothing is verified",
         [](Scene& at) {
             at.setup.tls.pin = TestAuthority::pin_of(test_certificate().chain);
             connect_tls(at, elsewhere());
             at.setup.tls.verify_peer = false;
             at.setup.tls.verify_name = false;
             connect_tls(at, elsewhere());
         },
         {"60", "90"},
         {"60", "90"},
         ""},
    };
}

Rows tls_handshake_rows() {
    return {
        {"44 no common version",
         [](Scene& at) {
             TlsServer server;
             server.max_version = TLS1_2_VERSION;
             at.setup.tls.only_1_3 = true;
             connect_tls(at, server);
         },
         {"35"},
         {"35"},
         ""},
        {"44 closed inside the handshake",
         [](Scene& at) { after_hello(at, [](std::unique_ptr<SocketLine>) {}); },
         {"35"},
         {"35"},
         ""},
        {"44 reset inside the handshake",
         [](Scene& at) {
             after_hello(at, [](std::unique_ptr<SocketLine> line) { line->socket().reset(); });
         },
         {"35"},
         {"35"},
         ""},
        {"44 HTTP in place of TLS",
         [](Scene& at) {
             after_hello(at, [](std::unique_ptr<SocketLine> line) {
                 line->send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                 line->read_to_end();
             });
         },
         {"35"},
         {"35"},
         ""},
        {"45 silence inside the handshake",
         [](Scene& at) {
             at.setup.connect_timeout = std::chrono::milliseconds(300);
             after_hello(at, [](std::unique_ptr<SocketLine> line) { line->read_to_end(); });
             at.send(5);
         },
         {"28", "1,0"},
         {"28", "1,0"},
         ""},
        {"46 a missing client certificate, TLS 1.3",
         [](Scene& at) { wants_certificate(at, TLS1_3_VERSION); },
         {"0", "56,0", "0,0"},
         {"0", "56,0", "56,0"},
         kStays},
        {"46 a missing client certificate, TLS 1.2",
         [](Scene& at) { wants_certificate(at, TLS1_2_VERSION); },
         {"35"},
         {"35"},
         ""},
        {"47 a server that selects h2, and the first bytes sent to it",
         [](Scene& at) {
             TlsServer server;
             server.selected = "h2";
             const std::unique_ptr<TlsLine> peer = connect_tls(at, server);
             at.send(5);
             at.note(peer->read(5));
         },
         {"0", "55,0", "PRI *"},
         {"0", "0,5", "sssss"},
         kRaw},
    };
}

}  // namespace uaio
