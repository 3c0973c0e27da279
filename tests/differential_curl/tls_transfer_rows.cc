// Bytes, ends and keys over TLS.
#include "tests/differential_curl/tls_scene.h"

namespace uaio {
namespace {

constexpr const char* kZero =
    "a send of 0 bytes succeeds; libcurl returns the state of its last write";
constexpr const char* kCut = "an end without close_notify is truncated, not an end of stream";
constexpr const char* kRefused = "TLS 1.2 is not renegotiated (RFC 9325 3.5): libcurl takes part";

}  // namespace

Rows tls_transfer_rows() {
    return {
        {"25 an echo over TLS 1.3, with tickets",
         [](Scene& at) {
             TlsServer server;
             server.tickets = 2;
             const std::unique_ptr<TlsLine> peer = connect_tls(at, server);
             at.wait();  // for the tickets, which are no data
             at.receive(100);
             at.send(5);
             peer->send(peer->read(5));
             at.wait();
             at.receive(100);
             at.note_received();
         },
         {"0", "81,0", "0,5", "0,5", "sssss"},
         {"0", "81,0", "0,5", "0,5", "sssss"},
         ""},
        {"26 no bytes, after a successful send",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             at.send(5);
             at.send(0);
         },
         {"0", "0,5", "55,0"},
         {"0", "0,5", "0,0"},
         kZero},
        {"37 half a record, and then the rest",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             const std::string record = peer->encrypt(std::string(1000, 'p'));
             peer->below().send(record.substr(0, 500));
             at.wait();
             at.receive(2000);
             peer->below().send(record.substr(500));
             at.wait();
             at.receive(2000);
         },
         {"0", "81,0", "0,1000"},
         {"0", "81,0", "0,1000"},
         ""},
        {"37 a record in two receives, the second without readiness",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             const std::string record = peer->encrypt("0123456789");
             peer->below().send(record);
             at.wait_for_bytes(static_cast<int>(record.size()));
             at.receive(4);
             at.readable();
             at.receive(10);
             at.receive(10);
             at.note_received();
         },
         {"0", "0,4", "not readable", "0,6", "81,0", "0123456789"},
         {"0", "0,4", "not readable", "0,6", "81,0", "0123456789"},
         ""},
    };
}

Rows tls_end_rows() {
    return {
        {"27 a close_notify",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             peer->send("bytes");
             peer->send_close_notify();
             peer->socket_line().socket().shutdown_write();
             at.wait_for_end();
             for (int i = 0; i < 3; ++i)
                 at.receive(5);
             at.send(5);
         },
         {"0", "0,5", "0,0", "0,0", "0,5"},
         {"0", "0,5", "end,0", "end,0", "0,5"},
         kEnd},
        {"28 an end without close_notify",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             peer->send("bytes");
             peer->socket_line().socket().shutdown_write();
             at.wait_for_end();
             for (int i = 0; i < 3; ++i)
                 at.receive(5);
         },
         {"0", "0,5", "0,0", "0,0"},
         {"0", "0,5", "cut off,0", "cut off,0"},
         kCut},
        {"28 an end inside a record",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             peer->below().send(peer->encrypt("bytes").substr(0, 10));
             peer->socket_line().socket().shutdown_write();
             at.wait_for_end();
             at.receive(5);
             at.receive(5);
         },
         {"0", "0,0", "0,0"},
         {"0", "cut off,0", "cut off,0"},
         kCut},
        {"30 reset",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             peer->socket_line().socket().reset();
             at.wait();
             at.receive(5);
             at.receive(5);
             at.send(5);
         },
         {"0", "56,0", "0,0", "55,0"},
         {"0", "56,0", "56,0", "55,0"},
         kStays},
    };
}

Rows tls_key_rows() {
    return {
        {"40 key updates on both sides",
         [](Scene& at) {
             const std::unique_ptr<TlsLine> peer = connect_tls(at);
             peer->update_keys();
             at.wait();
             at.receive(100);
             at.send(15);
             at.note(peer->read(15));
             peer->send(std::string(18, 'p'));
             at.wait();
             at.receive(100);
         },
         {"0", "81,0", "0,15", std::string(15, 's'), "0,18"},
         {"0", "81,0", "0,15", std::string(15, 's'), "0,18"},
         ""},
        {"41 TLS 1.2 renegotiation",
         [](Scene& at) {
             TlsServer server;
             server.max_version = TLS1_2_VERSION;
             const std::unique_ptr<TlsLine> peer = connect_tls(at, server);
             peer->begin_renegotiation();
             auto state = TlsLine::Renegotiation::going_on;
             for (int i = 0; i < 20 && state == TlsLine::Renegotiation::going_on; ++i) {
                 at.wait();
                 at.receive(100);
                 state = peer->renegotiate();
             }
             const bool done = state == TlsLine::Renegotiation::done;
             at.note(done ? "done" : "refused");
             at.send(11);
             at.note(peer->read(11));
             if (done) peer->send(std::string(18, 'p'));
             at.wait();
             at.receive(100);
         },
         {"0", "81,0", "81,0", "done", "0,11", std::string(11, 's'), "0,18"},
         {"0", "81,0", "refused", "0,11", "", "56,0"},
         kRefused},
    };
}

}  // namespace uaio
