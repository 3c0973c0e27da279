// A Dialer makes connections to one place as curl does: it resolves names off the loop, races the
// addresses (RFC 8305), goes through SOCKS and HTTP proxies, and starts TLS. What it gives is a
// stream, so that http::Client and everything else works over it.
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

// Starts TLS as a client over `stream`, with `host` to be proved by the peer, and replaces `stream`
// by the secured one, or ends `aio` with an error. Both live until then. Must not throw; any
// thread.
using StartTls = std::function<void(StreamPtr& stream, const std::string& host, Aio& aio)>;

struct DialOptions {
    // For everything together, names and TLS included (CURLOPT_CONNECTTIMEOUT). The Aio's own
    // deadline counts if it is earlier.
    std::chrono::nanoseconds timeout = std::chrono::seconds(300);

    // --- Names ---
    // Must outlive the Dialer; a Dialer has one of its own otherwise, and a cache of its own.
    Resolver* resolver = nullptr;
    AddressFamily family = AddressFamily::any;
    // Addresses in place of a lookup, as CURLOPT_RESOLVE has them: "HOST:PORT:ADDRESS[,ADDRESS]",
    // HOST may be "*"; with "+" before it for the first 60 seconds only; "-HOST:PORT" takes back
    // what stands before it. For names that are resolved here, those of proxies included.
    std::vector<std::string> resolve = {};
    // Another place to connect to, as CURLOPT_CONNECT_TO has it: "HOST:PORT:HOST2:PORT2", each of
    // which may be empty: any, or as it was. The first that fits counts. TLS goes on to check HOST.
    std::vector<std::string> connect_to = {};

    // --- The connection ---
    // After so long the next address is tried as well, IPv6 and IPv4 by turns (RFC 8305 section 5
    // recommends 250 ms, libcurl takes 200); at once if the last attempt failed.
    std::chrono::nanoseconds attempt_delay = std::chrono::milliseconds(200);
    unsigned attempts_at_once = 6;
    // Where to connect from: an address in numbers, a port (0: any) and how many ports from there
    // may be tried; the name of a network interface. Refused with the errno of bind(2), ENODEV.
    std::string local_address = {};
    std::uint16_t local_port = 0;
    unsigned local_ports = 1;
    std::string interface = {};
    // The path of a unix socket, a first '@' for an abstract one, in place of the target's address.
    // No proxy is used then.
    std::string unix_path = {};
    StreamOptions stream = {};

    // --- Proxies ---
    // As parse_proxy() reads it; empty: none. Unset: what the environment names for the scheme of
    // the target, looked up when the Dialer is made.
    std::optional<std::string> proxy = {};
    // Hosts that are reached without a proxy, see bypasses_proxy(). Unset: that of the environment.
    std::optional<std::string> no_proxy = {};
    // A SOCKS proxy through which the proxy is reached (CURLOPT_PRE_PROXY).
    std::string pre_proxy = {};
    ProxyAuthentication proxy_authentication = ProxyAuthentication::basic;
    // More lines for CONNECT, such as "User-Agent: me".
    std::vector<std::string> proxy_fields = {};
    // Sent to the server behind the proxies, before TLS.
    ProxyHeader proxy_header = ProxyHeader::none;

    // --- TLS ---
    // With the target, by the host of its URL, and with an https proxy, by that of its own URL; one
    // stacks on the other. Unset: a context of the Dialer's own, with its defaults.
    std::optional<tls::Context> tls_context = {};
    std::optional<tls::Context> proxy_tls_context = {};
    // In place of the library's TLS.
    StartTls start_tls = {};
    StartTls start_proxy_tls = {};
};

enum class DialPhase : std::uint8_t { begin, resolve, connect, proxy, tls, done };

// How a connect went, for those who want to know; complete at the callback.
struct DialReport {
    // The last one that was begun; after a failure the one that failed.
    DialPhase phase = DialPhase::begin;
    // Time spent in each; several proxies, and repeated ones, add up. TLS with a proxy is its part.
    std::chrono::nanoseconds resolve{0};
    std::chrono::nanoseconds connect{0};
    std::chrono::nanoseconds proxy{0};
    std::chrono::nanoseconds tls{0};
    // Whom the socket was connected to last; after a failure of that the address that failed last,
    // or that had not answered.
    std::optional<Endpoint> peer = {};
    // `peer` is the first proxy on the way.
    bool peer_is_proxy = false;
    unsigned attempts = 0;     // addresses that were tried
    unsigned connections = 0;  // that were made: two where a proxy closed after its 407
    int proxy_status = 0;      // of the last answer to CONNECT (CURLINFO_HTTP_CONNECTCODE)
    int socks_reply = 0;       // the code with which a SOCKS proxy refused (CURLINFO_PROXY_ERROR)
};

// May be used by any thread, several Aios at a time. Must outlive what it connects: until the
// callback.
class Dialer final : public Connector {
public:
    // The target is an URL, of which scheme, host and port count: http, https, ws, wss, tcp or tls
    // (both with a port), or HOST[:PORT], which means http. https, wss and tls mean TLS. What is
    // wrong with it or with the options is told by connect(). Throws std::bad_alloc, and where it
    // makes a context of its own what tls::Context() throws.
    explicit Dialer(std::string_view target, const DialOptions& options = {});
    ~Dialer() override;

    // Cancel and deadline hold in every phase; at the callback no descriptor and no operation is
    // left of what did not become the stream. What a proxy sent behind its answer is read from the
    // stream first. Errors: invalid_url for the target; a ResolveErrc for its name, and
    // name_not_resolved for a proxy's; the errno of connect(2) and bind(2); a ProxyErrc, and
    // proxy_refused for an answer to CONNECT that is no 2xx; those of tls::connect(), with report.
    // phase to tell a proxy's from the target's; timed_out, canceled,
    // not_enough_memory; not_supported for TLS and Digest in a build without them. Allocates.
    void connect(Aio& aio, StreamPtr& out) override;
    // The same, with a report, which must live until the callback as well.
    void connect(Aio& aio, StreamPtr& out, DialReport& report);

    // Scheme, host and port of the target; those of a proxy never. Empty if connect() refuses the
    // target.
    Origin origin() const noexcept override;

private:
    std::unique_ptr<DialPlan> plan_;
};

}  // namespace uaio
