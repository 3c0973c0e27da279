// The reaction of a dial to each misbehaviour of a proxy in each phase of their dialogue: how it
// ends, and when. DialOptions::timeout is 30.5 s.
#include <uaio/proxy.h>
#include <uaio/tls_error.h>

#include "tests/matrix/dial_scene.h"

namespace uaio::matrix {
namespace {

using namespace std::string_literals;

const char* const kDialerIsRead = "the dialer's bytes have been read";
const char* const kFixed = "the answer has a fixed size: see garbage";

const std::string kNoAnswer = "\x01\x02 no answer\r\n\r\n";

Phase socks_phase(const char* name, const std::string& lead, const std::string& drips,
                  const std::string& announces, Cell announced, Cell garbage) {
    return {.name = name,
            .lead = lead,
            .drips = drips,
            .announces = announces,
            .floods = kNoAnswer,
            .garbage = kNoAnswer,
            .cells = {fails(Errc::timed_out, kDial),
                      drips.empty() ? none("see the reply") : fails(Errc::timed_out, kDial),
                      announced, garbage, none(kDialerIsRead), fails(Errc::connection_reset),
                      fails(ProxyErrc::closed_early), garbage, none(kFixed),
                      fails(ProxyErrc::closed_early)}};
}

// The order of the cells: stall, drip, announce, flood, stop reading, reset, half-close, garbage,
// extra, cut.
std::vector<Phase> make_dial_phases(bool tls) {
    const Cell late = fails(Errc::timed_out, kDial);
    const std::error_code cut =
        tls ? make_error_code(Errc::truncated) : make_error_code(ProxyErrc::closed_early);
    std::vector<Phase> phases = {
        {.name = "CONNECT, the response's head",
         .lead = "HTTP/1.1 200 OK\r\nX",
         .floods = "\r\nX: x",
         .garbage = "\r\n\x01\r\n",  // a field, which the dialer ignores
         .cells = {late, late, none(kNoLength), fails(ProxyErrc::reply_too_long),
                   none(kDialerIsRead), fails(Errc::connection_reset),
                   fails(ProxyErrc::closed_early), late, none("see the tunnel"), fails(cut)}},
        {.name = "CONNECT, no answer",
         .drips = "HTTP/1.1 200 OK\r\nX: " + std::string(100, 'x'),
         .garbage = kNoAnswer,
         .cells = {late, late, none(kNoLength), fails(ProxyErrc::bad_reply), none(kDialerIsRead),
                   fails(Errc::connection_reset), fails(ProxyErrc::closed_early),
                   fails(ProxyErrc::bad_reply), none("nothing has ended"), fails(cut)}},
        {.name = "CONNECT, refused with content",
         .lead = "HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\n01",
         .announces = "HTTP/1.1 503 No\r\nContent-Length: 1000000000\r\n\r\n",
         .garbage = kNoAnswer,
         .cells = {fails(Errc::proxy_refused), fails(Errc::proxy_refused),
                   fails(Errc::proxy_refused), fails(Errc::proxy_refused), none(kDialerIsRead),
                   fails(Errc::proxy_refused), fails(Errc::proxy_refused),
                   fails(Errc::proxy_refused), fails(Errc::proxy_refused),
                   fails(Errc::proxy_refused)}},
        {.name = "CONNECT, granted",
         .lead = "HTTP/1.1 200 OK\r\n\r\n",
         .garbage = kNoAnswer,
         .cells = {succeeds(0), succeeds(0), none(kNoLength), succeeds(0), none(kDialerIsRead),
                   succeeds(0), succeeds(0), succeeds(0), succeeds(0), succeeds(0)}},
    };
    if (tls) return phases;
    phases.push_back({.name = "CONNECT, the request",
                      .reads = 10,
                      .garbage = kNoAnswer,
                      .cells = {none(kSameAsStop), late, none(kNoLength), late, late,
                                fails(Errc::connection_reset), fails(ProxyErrc::closed_early), late,
                                none("nothing has ended"), fails(Errc::connection_reset)}});
    const Cell bad = fails(ProxyErrc::bad_reply);
    phases.push_back(socks_phase("SOCKS, the method", "", "", "", none(kNoLength), bad));
    phases.push_back(socks_phase("SOCKS, the reply to the password", "\5\2", "", "",
                                 none(kNoLength), fails(ProxyErrc::credentials_refused)));
    phases.push_back(socks_phase("SOCKS, the reply", "\5\2\1\0"s,
                                 "\5\0\0\3\xff"s + std::string(255, 'a'), "\5\2\1\0\5\0\0\3\xff"s,
                                 late, bad));
    return phases;
}

}  // namespace

const std::vector<Phase>& dial_phases(bool tls) {
    static const std::vector<Phase> plain = make_dial_phases(false);
    static const std::vector<Phase> secured = make_dial_phases(true);
    return tls ? secured : plain;
}

const std::vector<Phase>& dial_handshake_phases() {
    static const Cell late = fails(Errc::timed_out, kDial);
    static const std::array<Cell, kBehaviours> silent = {late,
                                                         fails(TlsErrc::not_tls, 4s),
                                                         late,
                                                         fails(TlsErrc::not_tls),
                                                         none(kDialerIsRead),
                                                         fails(Errc::connection_reset),
                                                         fails(Errc::truncated),
                                                         fails(TlsErrc::not_tls),
                                                         none("nothing has ended"),
                                                         fails(Errc::truncated)};
    static const std::array<Cell, kBehaviours> part = {late,
                                                       late,
                                                       none("the flight has announced one"),
                                                       none("see no byte"),
                                                       none(kDialerIsRead),
                                                       fails(Errc::connection_reset),
                                                       fails(Errc::truncated),
                                                       none("see no byte"),
                                                       none("nothing has ended"),
                                                       fails(Errc::truncated)};
    static const std::vector<Phase> phases = {
        {.name = "TLS with the proxy: no byte",
         .raw = true,
         .announces = "record",
         .garbage = kNoAnswer,
         .cells = silent},
        {.name = "TLS with the proxy: part of its flight",
         .lead = "part",
         .raw = true,
         .cells = part},
        {.name = "tunnel, TLS with the target: no byte",
         .raw = true,
         .announces = "record",
         .garbage = kNoAnswer,
         .cells = silent},
    };
    return phases;
}

}  // namespace uaio::matrix
