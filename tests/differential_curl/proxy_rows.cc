// HTTP proxies: the requests of CONNECT, and the results of the answers.
#include "tests/differential_curl/row.h"

#include <poll.h>

namespace uaio {
namespace {

constexpr const char* kGranted = "HTTP/1.1 200 OK\r\n\r\n";
constexpr const char* kWhole = "a response that was not received to its end has no status";
constexpr const char* kTarget = "http://origin.test:80";

// A connection through the peer, and the heads that the peer received.
struct Tunnel {
    std::unique_ptr<SocketLine> line;
    std::vector<std::string> heads;
};

// Connects through a peer that answers the first CONNECT with the first reply, and so on. A reply
// that ends with "close" is followed by an end, and the next CONNECT uses a new connection.
Tunnel connect_through(Scene& at, const std::vector<std::string>& replies,
                       const std::string& target = kTarget, const std::string& user = {}) {
    at.setup.proxy = "http://" + user + at.place();
    return at.connect_to(target, [&replies](Scene& scene) {
        Tunnel tunnel;
        for (const std::string& reply : replies) {
            if (!tunnel.line) tunnel.line = scene.accept_line();
            tunnel.heads.push_back(tunnel.line->read_until("\r\n\r\n"));
            tunnel.line->send(reply);
            if (reply.ends_with("\r\nConnection: close\r\n\r\n")) tunnel.line.reset();
        }
        return tunnel;
    });
}

// A proxy that answers with `reply`; a refused CONNECT leaves no connection.
void refused(Scene& at, const std::string& reply) {
    const Tunnel tunnel = connect_through(at, {reply});
    at.note(std::to_string(at.driver.connect_code()));
    at.send(5);
}

std::string field_of(const std::string& head, const std::string& name) {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "no " + name;
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
}

// The authentication schemes in the heads, and whether further connections came.
void note_credentials(Scene& at, const Tunnel& tunnel) {
    for (const std::string& head : tunnel.heads) {
        const std::string value = field_of(head, "Proxy-Authorization");
        at.note(value.substr(0, value.find(' ')));
    }
    pollfd entry{at.listener.fd(), POLLIN, 0};
    at.note(::poll(&entry, 1, 0) == 0 ? "no more connections" : "more connections");
}

constexpr const char* kDigest =
    "HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
constexpr const char* kBasic = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"r\"\r\n";

std::string long_head(std::size_t lines, std::size_t size) {
    std::string head = "HTTP/1.1 200 OK\r\n";
    for (std::size_t i = 0; i < lines; ++i)
        head += "X-" + std::to_string(i) + ": " + std::string(size, 'x') + "\r\n";
    return head + "\r\n";
}

}  // namespace

Rows tunnel_rows() {
    return {
        {"48 bytes behind a proxy's response",
         [](Scene& at) {
             const Tunnel tunnel = connect_through(at, {std::string(kGranted) + "early"});
             at.receive(100);
             at.send(5);
             at.note(tunnel.line->read(5));
             at.note_received();
         },
         {"0", "0,5", "0,5", "sssss", "early"},
         {"0", "0,5", "0,5", "sssss", "early"},
         ""},
        {"49 a 200 with a malformed Content-Length",
         [](Scene& at) {
             const Tunnel tunnel =
                 connect_through(at, {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nearly"});
             at.receive(100);
             at.note_received();
         },
         {"0", "0,5", "early"},
         {"0", "0,5", "early"},
         ""},
        {"49 a 200 with malformed chunks",
         [](Scene& at) {
             const Tunnel tunnel = connect_through(
                 at, {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nearly"});
             at.receive(100);
             at.note_received();
         },
         {"0", "0,5", "early"},
         {"0", "0,5", "early"},
         ""},
        {"50 a 204, and a 201 of HTTP/1.0",
         [](Scene& at) {
             const Tunnel first = connect_through(at, {"HTTP/1.1 204 No Content\r\n\r\n"});
             at.send(5);
             at.note(first.line->read(5));
             const Tunnel second = connect_through(at, {"HTTP/1.0 201 Created\r\n\r\n"});
             at.send(5);
             at.note(second.line->read(5));
         },
         {"0", "0,5", "sssss", "0", "0,5", "sssss"},
         {"0", "0,5", "sssss", "0", "0,5", "sssss"},
         ""},
        {"50 a response whose lines end with a line feed alone",
         [](Scene& at) {
             const Tunnel tunnel = connect_through(at, {"HTTP/1.1 200 OK\nVia: me\n\nearly"});
             at.receive(100);
             at.note_received();
         },
         {"0", "0,5", "early"},
         {"0", "0,5", "early"},
         ""},
        {"56 an IPv6 address as the target",
         [](Scene& at) {
             const Tunnel tunnel = connect_through(at, {kGranted}, "http://[::1]:8080");
             const std::string& head = tunnel.heads.front();
             at.note(head.substr(0, head.find("\r\n")));
             at.note(field_of(head, "Host"));
         },
         {"0", "CONNECT [::1]:8080 HTTP/1.1", "[::1]:8080"},
         {"0", "CONNECT [::1]:8080 HTTP/1.1", "[::1]:8080"},
         ""},
    };
}

Rows tunnel_failure_rows() {
    const auto answered = [](const char* name, const std::string& reply, const std::string& code) {
        const Answers answers = {"56", code, "1,0"};
        return Row{name, [reply](Scene& at) { refused(at, reply); }, answers, answers, ""};
    };
    Rows rows = {
        answered("51 403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"),
        answered("51 503 in chunks",
                 "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n",
                 "503"),
        answered("51 301", "HTTP/1.1 301 Gone\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "301"),
        answered("51 100", "HTTP/1.1 100 Continue\r\n\r\n", "100"),
        answered("51 garbage", "hello, this is no proxy\r\n\r\n", "0"),
        answered("51 another protocol", "HTTP/2 200\r\n\r\n", "0"),
    };
    for (const auto& [name, head] : {std::pair{"54 a line of 20 KB", long_head(1, 20'000)},
                                     std::pair{"54 400 KB in all", long_head(400, 1000)}}) {
        rows.push_back({name,
                        [head = head](Scene& at) { refused(at, head); },
                        {"56", "200", "1,0"},
                        {"56", "0", "1,0"},
                        kWhole});
    }
    rows.push_back({"54 closed at once, and inside the status line",
                    [](Scene& at) {
                        at.setup.proxy = at.url();
                        for (const char* reply : {"", "HTTP/1.1 20"}) {
                            at.connect_to(kTarget, [reply](Scene& scene) {
                                const auto line = scene.accept_line();
                                line->read_until("\r\n\r\n");
                                line->send(reply);
                                return true;
                            });
                        }
                    },
                    {"56", "56"},
                    {"56", "56"},
                    ""});
    rows.push_back({"54 silent",
                    [](Scene& at) {
                        at.setup.proxy = at.url();
                        at.setup.connect_timeout = std::chrono::milliseconds(300);
                        at.connect_to(kTarget, [](Scene& scene) {
                            return scene.accept_line()->read_to_end().starts_with("CONNECT ");
                        });
                    },
                    {"28"},
                    {"28"},
                    ""});
    rows.push_back({"55 a proxy that refuses, one that has no address, one of an unknown kind",
                    [](Scene& at) {
                        const DeadPort dead;
                        const std::string refusing = "http://" + dead.place();
                        for (const std::string& proxy :
                             {refusing, std::string("http://no-such.invalid:1080"),
                              std::string("foo://127.0.0.1:1080")}) {
                            at.setup.proxy = proxy;
                            at.connect();
                        }
                        at.setup.proxy = "";
                        at.connect();
                    },
                    {"7", "5", "7", "0"},
                    {"7", "5", "7", "0"},
                    ""});
    return rows;
}

Rows credential_rows() {
    return {
        {"52 a 407, without credentials and with wrong ones",
         [](Scene& at) {
             const std::string no = std::string(kBasic) + "Content-Length: 0\r\n\r\n";
             note_credentials(at, connect_through(at, {no}));
             at.note(std::to_string(at.driver.connect_code()));
             note_credentials(at, connect_through(at, {no}, kTarget, "user:wrong@"));
             at.note(std::to_string(at.driver.connect_code()));
         },
         {"56", "no", "no more connections", "407", "56", "Basic", "no more connections", "407"},
         {"56", "no", "no more connections", "407", "56", "Basic", "no more connections", "407"},
         ""},
        {"53 Basic, from an URL with escapes",
         [](Scene& at) {
             const Tunnel tunnel = connect_through(at, {kGranted}, kTarget, "us%65r:p%40ss@");
             at.note(field_of(tunnel.heads.front(), "Proxy-Authorization"));
         },
         {"0", "Basic dXNlcjpwQHNz"},
         {"0", "Basic dXNlcjpwQHNz"},
         ""},
    };
}

Rows challenge_rows() {
    return {
        {"53 Digest, on one connection",
         [](Scene& at) {
             at.setup.authentication = ProxyAuthentication::digest;
             const std::string who = std::string(kDigest) + "Content-Length: 5\r\n\r\nwrong";
             note_credentials(at, connect_through(at, {who, kGranted}, kTarget, "user:pass@"));
         },
         {"0", "no", "Digest", "no more connections"},
         {"0", "no", "Digest", "no more connections"},
         ""},
        {"53 Digest, on a second connection",
         [](Scene& at) {
             at.setup.authentication = ProxyAuthentication::digest;
             const std::string who = std::string(kDigest) + "Connection: close\r\n\r\n";
             note_credentials(at, connect_through(at, {who, kGranted}, kTarget, "user:pass@"));
         },
         {"0", "no", "Digest", "no more connections"},
         {"0", "no", "Digest", "no more connections"},
         ""},
        {"53 any scheme, where the proxy offers Basic, behind a 407 in chunks",
         [](Scene& at) {
             at.setup.authentication = ProxyAuthentication::any;
             const std::string who =
                 std::string(kBasic) + "Transfer-Encoding: chunked\r\n\r\n5\r\nwrong\r\n0\r\n\r\n";
             note_credentials(at, connect_through(at, {who, kGranted}, kTarget, "user:pass@"));
         },
         {"0", "no", "Basic", "no more connections"},
         {"0", "no", "Basic", "no more connections"},
         ""},
    };
}

}  // namespace uaio
