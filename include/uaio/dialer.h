// A Dialer makes connections to one place as curl does: it resolves names off the loop, races the
// addresses (RFC 8305), goes through SOCKS and HTTP proxies, and starts TLS. It is a Connector, so
// that http::Client and others work over the streams that it makes. Any thread.
//
//     uaio::Dialer dialer("http://example.com", {.proxy = "socks5h://127.0.0.1:9050"});
//     uaio::http::Client client(dialer);
#pragma once

#include <uaio/endpoint.h>
#include <uaio/proxy.h>
#include <uaio/resolver.h>
#include <uaio/stream.h>
#include <uaio/tls_context.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio {

struct DialPlan;

// Starts TLS as a client over `stream`: verifies that the peer's certificate is for `host`,
// replaces `stream` by the secured one, and ends `aio`, with an error if there is one. `stream` and
// `host` live until then, and the verb that it calls must end `aio` on every path, also when it is
// cancelled. Called on the engine's thread; must not throw.
using StartTls = std::function<void(StreamPtr& stream, const std::string& host, Aio& aio)>;

// The options of a Dialer, checked when it is made; connect() reports those that cannot be used.
struct DialOptions {
    // For everything together, names and TLS included (CURLOPT_CONNECTTIMEOUT): else
    // Errc::timed_out. The Aio's own deadline counts if it is earlier. kNoTimeout: no limit; zero
    // or less: no connect succeeds.
    std::chrono::nanoseconds timeout = std::chrono::seconds(300);

    // --- Names ---
    // Must outlive the Dialer; without one a Dialer makes its own, with a cache of its own.
    Resolver* resolver = nullptr;
    // Of the addresses to connect to, those of proxies included: ResolveErrc::no_address for a name
    // or an address of the other family alone.
    AddressFamily family = AddressFamily::any;
    // Addresses in place of a lookup, in the form of CURLOPT_RESOLVE:
    // "HOST:PORT:ADDRESS[,ADDRESS]", HOST may be "*"; with "+" before it for the first 60 seconds
    // only; "-HOST:PORT" removes an earlier rule. The 60 seconds begin with the first connect. For
    // names that are resolved here, those of proxies included; IPv6 addresses in brackets or not.
    // ResolveErrc::bad_rule.
    std::vector<std::string> resolve = {};
    // Another place to connect to, in the form of CURLOPT_CONNECT_TO: "HOST:PORT:HOST2:PORT2", each
    // of which may be empty: any, or as it was. The first rule that matches applies. TLS still
    // verifies the name of the target. ResolveErrc::bad_rule.
    std::vector<std::string> connect_to = {};

    // --- The connection ---
    // While an attempt has no answer, the Dialer tries the next address after this time, IPv6 and
    // IPv4 alternately (RFC 8305 section 5 recommends 250 ms, libcurl takes 200); at once when the
    // last attempt failed. All attempts continue until one succeeds. Zero or less: without a delay.
    std::chrono::nanoseconds attempt_delay = std::chrono::milliseconds(200);
    // Attempts of one connect that may be under way; 0 counts as 1.
    unsigned attempts_at_once = 6;
    // The local end of the connection: an address in numbers (ArgumentErrc::invalid_endpoint
    // otherwise), a port (0: any), and the number of ports from there that may be tried. The Dialer
    // connects only to addresses of the same family then, and a port without an address means IPv4:
    // ResolveErrc::no_address if there is none. Other errors: the errno of bind(2).
    std::string local_address = {};
    std::uint16_t local_port = 0;
    unsigned local_ports = 1;
    // The name of the only network interface to use (SO_BINDTOIFINDEX, Linux 5.0); ENODEV if there
    // is none of that name. Each connect looks it up.
    std::string interface = {};
    // The path of a unix socket, a first '@' for an abstract one, in place of the target's address.
    // No proxy and no name lookup is used then; TLS verifies the name of the target.
    std::string unix_path = {};
    // Of the socket, whatever lies above it.
    StreamOptions stream = {};

    // --- Proxies ---
    // As parse_proxy() reads it; empty: none. Unset: that of proxy_from_environment() for the
    // scheme of the target, looked up by getenv(3) when the Dialer is made.
    std::optional<std::string> proxy = {};
    // Hosts that are reached without a proxy, and without the pre-proxy, see bypasses_proxy().
    // Unset: that of no_proxy_from_environment().
    std::optional<std::string> no_proxy = {};
    // A SOCKS proxy through which the proxy is reached (CURLOPT_PRE_PROXY); without a proxy it is
    // the proxy. ProxyErrc::unsupported_scheme for another kind.
    std::string pre_proxy = {};
    ProxyAuthentication proxy_authentication = ProxyAuthentication::basic;
    // More fields for CONNECT, without line ends, such as "User-Agent: me". ProxyErrc::bad_field.
    std::vector<std::string> proxy_fields = {};
    // Sent to the server behind the proxies, or without proxies, before TLS with the target.
    ProxyHeader proxy_header = ProxyHeader::none;

    // --- TLS ---
    // For TLS with the target, verified for the host of its URL, and with an https proxy, verified
    // for that of its own URL; one stacks on the other. Unset, and needed: a context with the
    // default tls::ContextOptions, made with the Dialer.
    std::optional<tls::Context> tls_context = {};
    std::optional<tls::Context> proxy_tls_context = {};
    // In place of the library's TLS; the contexts are not used then.
    StartTls start_tls = {};
    StartTls start_proxy_tls = {};
};

// The steps of a connect, in order; steps that are not needed are left out. resolve is the lookup
// of the first proxy, or without proxies of the target, and for socks4 and socks5 that of the
// target. proxy is the dialogue with each proxy, TLS with it, and the PROXY header.
enum class DialPhase : std::uint8_t { begin, resolve, connect, proxy, tls, done };

// The report of one connect: reset when it starts, complete when the callback runs. Before that
// only the engine writes it.
struct DialReport {
    // The last phase that was begun; after a failure the one that failed.
    DialPhase phase = DialPhase::begin;
    // Time spent in each; several proxies, and repeated ones, add up. TLS with a proxy counts as
    // proxy.
    std::chrono::nanoseconds resolve{0};
    std::chrono::nanoseconds connect{0};
    std::chrono::nanoseconds proxy{0};
    std::chrono::nanoseconds tls{0};
    // The address that the socket was connected to last; after a failure of that the one that
    // failed last, or that had not answered. Unset for a unix socket.
    std::optional<Endpoint> peer = {};
    // `peer` is the first proxy on the way.
    bool peer_is_proxy = false;
    unsigned attempts = 0;     // connects that were begun, one an address
    unsigned connections = 0;  // connects that succeeded: more than one where a proxy closed after
                               // its 407
    int proxy_status = 0;      // of the last answer to CONNECT (CURLINFO_HTTP_CONNECTCODE)
    int socks_reply = 0;       // the code with which a SOCKS proxy refused (CURLINFO_PROXY_ERROR)
};

// May be used by any thread, several Aios at a time, of any engines. Must outlive the connects:
// each until its callback. Streams that it made do not need it.
class Dialer final : public Connector {
public:
    // The target is a URL, of which scheme, host and port count: http, https, ws, wss, tcp or tls
    // (both with a port), or HOST[:PORT], which means http. https, wss and tls mean TLS. connect()
    // reports errors in the URL or the options. Copies both, but for the resolver. Throws
    // std::bad_alloc, and what tls::Context() throws where it makes one; the first one in a process
    // reads the authorities of the system.
    explicit Dialer(std::string_view target, const DialOptions& options = {});
    ~Dialer() override;

    // Connects, and puts the stream, on the Aio's engine, into `out`, which must live until the
    // callback and is untouched after an error. Cancel and deadline hold in every phase. Before the
    // callback runs, every other socket and operation of the attempt has been released. Bytes that
    // a proxy sent behind its answer are read from the stream first. The Aio's buffers are not
    // used, and count() is 0. Allocates.
    //
    // Errors: ArgumentErrc::invalid_url for the target; a ResolveErrc for its name, and
    // ProxyErrc::name_not_resolved for that of the first proxy; the errno of the last address that
    // failed, of connect(2), bind(2) or socket(2); a ProxyErrc, and Errc::proxy_refused for an
    // answer to CONNECT that is not 2xx; those of tls::connect(), with DialReport::phase proxy or
    // tls; Errc::connection_reset; the errors named at the options; Errc::timed_out, canceled,
    // closed (the engine's end), not_enough_memory; not_supported for TLS and Digest in a build
    // without TLS.
    void connect(Aio& aio, StreamPtr& out) override;
    // The same, with a report, which must live until the callback as well, and is written also for
    // an Aio that was stopped.
    void connect(Aio& aio, StreamPtr& out, DialReport& report);

    // The scheme as secure or not, the host and the port of the target, never those of a proxy or
    // of connect_to. Empty if connect() refuses the target. Valid as long as this object.
    Origin origin() const noexcept override;

private:
    std::unique_ptr<DialPlan> plan_;
};

}  // namespace uaio
