// SOCKS proxies: the bytes that each library sends, and the results of the answers.
#include "tests/differential_curl/row.h"

using namespace std::string_literals;

namespace uaio {
namespace {

constexpr const char* kOffers =
    "only implemented authentication methods are offered: libcurl's 01 is GSSAPI";
constexpr const char* kLocalhost = "localhost is ::1 first (RFC 6724); libcurl prefers IPv4";

// The answers of a SOCKS5 proxy.
struct Script5 {
    std::string method = "\5\0"s;
    std::string verdict = "\1\0"s;  // to a user and a password, if the method is 2
    std::string reply = "\5\0\0\1\0\0\0\0\0\0"s;
};

// The bytes that it received.
struct Received5 {
    std::unique_ptr<SocketLine> line;
    std::string greeting;
    std::string credentials;
    std::string request;
};

// Appends a length and as many bytes.
void read_counted(Line& line, std::string& received) {
    const std::string count = line.read(1);
    if (count.empty()) return;
    received += count;
    received += line.read(static_cast<unsigned char>(count[0]));
}

void serve_5(const Script5& script, Received5& received) {
    Line& line = *received.line;
    received.greeting = line.read(1);
    read_counted(line, received.greeting);
    line.send(script.method);
    if (script.method[1] == 2) {
        received.credentials = line.read(1);
        read_counted(line, received.credentials);
        read_counted(line, received.credentials);
        line.send(script.verdict);
    }
    received.request = line.read(4);
    if (received.request.size() < 4) return;
    constexpr char kName = 3;
    const char kind = received.request[3];
    if (kind == kName) {
        read_counted(line, received.request);
    } else {
        received.request += line.read(kind == 1 ? 4 : 16);
    }
    received.request += line.read(2);
    line.send(script.reply);
}

Received5 connect_5(Scene& at, const std::string& proxy, const std::string& target,
                    const Script5& script = {}) {
    at.setup.proxy = proxy + at.place();
    return at.connect_to(target, [&script](Scene& scene) {
        Received5 received;
        received.line = scene.accept_line();
        serve_5(script, received);
        return received;
    });
}

// A connect that a SOCKS5 proxy refuses.
void refused_5(Scene& at, const std::string& proxy, const Script5& script) {
    connect_5(at, proxy, "http://origin.test:80", script);
    at.note(std::to_string(at.driver.proxy_error()));
}

// The bytes that a SOCKS4 proxy received; it answers with `code`.
std::string connect_4(Scene& at, const std::string& proxy, const std::string& target, char code) {
    at.setup.proxy = proxy + at.place();
    const bool named = proxy.starts_with("socks4a:");
    return at.connect_to(target, [code, named](Scene& scene) {
        const std::unique_ptr<SocketLine> line = scene.accept_line();
        std::string received = line->read(8);
        received += line->read_until("\0"s);
        if (named) received += line->read_until("\0"s);
        line->send("\0"s + code + "\0\0\0\0\0\0"s);
        return received;
    });
}

}  // namespace

Rows socks_rows() {
    return {
        {"58 socks5h and a name",
         [](Scene& at) {
             const Received5 received = connect_5(at, "socks5h://", "http://origin.test:80");
             at.note(hexadecimal(received.greeting));
             at.note(hexadecimal(received.request));
             at.send(5);
             at.note(received.line->read(5));
         },
         {"0", "05 02 00 01", "05 01 00 03 0b 6f 72 69 67 69 6e 2e 74 65 73 74 00 50", "0,5",
          "sssss"},
         {"0", "05 01 00", "05 01 00 03 0b 6f 72 69 67 69 6e 2e 74 65 73 74 00 50", "0,5", "sssss"},
         kOffers},
        {"58 socks5h and numeric addresses",
         [](Scene& at) {
             at.note(hexadecimal(connect_5(at, "socks5h://", "http://192.0.2.1:80").request));
             at.note(hexadecimal(connect_5(at, "socks5h://", "http://[::1]:8080").request));
         },
         {"0", "05 01 00 01 c0 00 02 01 00 50", "0",
          "05 01 00 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 1f 90"},
         {"0", "05 01 00 01 c0 00 02 01 00 50", "0",
          "05 01 00 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 1f 90"},
         ""},
        {"58 socks5 and a name that the client resolves",
         [](Scene& at) {
             at.name_it("origin.test", 80);
             at.note(hexadecimal(connect_5(at, "socks5://", "http://origin.test:80").request));
         },
         {"0", "05 01 00 01 7f 00 00 01 00 50"},
         {"0", "05 01 00 01 7f 00 00 01 00 50"},
         ""},
        {"58 socks5 and localhost",
         [](Scene& at) {
             const Received5 received = connect_5(at, "socks5://", "http://localhost:80");
             at.note("kind " + std::to_string(received.request[3]));
         },
         {"0", "kind 1"},
         {"0", "kind 4"},
         kLocalhost},
    };
}

Rows socks_tunnel_rows() {
    return {
        {"61 the bound address of a SOCKS5 reply, and bytes behind it",
         [](Scene& at) {
             for (const std::string& bound :
                  {"\1\1\2\3\4\5\6"s, "\3\4name\1\2"s, "\4"s + std::string(18, '\7')}) {
                 Script5 script;
                 script.reply = "\5\0\0"s + bound + "early";
                 const Received5 received =
                     connect_5(at, "socks5h://", "http://origin.test:80", script);
                 at.receive(100);
             }
             at.note_received();
         },
         {"0", "0,5", "0", "0,5", "0", "0,5", "earlyearlyearly"},
         {"0", "0,5", "0", "0,5", "0", "0,5", "earlyearlyearly"},
         ""},
        {"62 socks4a and a name, socks4 and an address",
         [](Scene& at) {
             at.note(hexadecimal(connect_4(at, "socks4a://me@", "http://origin.test:80", 90)));
             at.note(hexadecimal(connect_4(at, "socks4://me@", "http://192.0.2.1:80", 90)));
         },
         {"0", "04 01 00 50 00 00 00 01 6d 65 00 6f 72 69 67 69 6e 2e 74 65 73 74 00", "0",
          "04 01 00 50 c0 00 02 01 6d 65 00"},
         {"0", "04 01 00 50 00 00 00 01 6d 65 00 6f 72 69 67 69 6e 2e 74 65 73 74 00", "0",
          "04 01 00 50 c0 00 02 01 6d 65 00"},
         ""},
        {"64 a SOCKS proxy before an HTTP proxy",
         [](Scene& at) {
             at.setup.proxy = "http://proxy.test:3128";
             at.setup.pre_proxy = "socks5h://" + at.place();
             const Received5 received = at.connect_to("http://origin.test:80", [](Scene& scene) {
                 Received5 both;
                 both.line = scene.accept_line();
                 serve_5({}, both);
                 const std::string head = both.line->read_until("\r\n\r\n");
                 both.request = both.request.substr(5, 10) + ", " + head.substr(0, head.find('\r'));
                 both.line->send("HTTP/1.1 200 OK\r\n\r\n");
                 return both;
             });
             at.note(received.request);
             at.send(5);
             at.note(received.line->read(5));
         },
         {"0", "proxy.test, CONNECT origin.test:80 HTTP/1.1", "0,5", "sssss"},
         {"0", "proxy.test, CONNECT origin.test:80 HTTP/1.1", "0,5", "sssss"},
         ""},
    };
}

Rows socks_failure_rows() {
    return {
        {"59 a user and a password, accepted and refused",
         [](Scene& at) {
             Script5 script;
             script.method = "\5\2"s;
             const std::string proxy = "socks5h://user:pass@";
             at.note(
                 hexadecimal(connect_5(at, proxy, "http://origin.test:80", script).credentials));
             script.verdict = "\1\1"s;
             refused_5(at, proxy, script);
         },
         {"0", "01 04 75 73 65 72 04 70 61 73 73", "97", "33"},
         {"0", "01 04 75 73 65 72 04 70 61 73 73", "97", "33"},
         ""},
        {"59 no acceptable method, and a user of 256 bytes",
         [](Scene& at) {
             Script5 script;
             script.method = "\5\xff"s;
             refused_5(at, "socks5h://", script);
             script.method = "\5\2"s;
             refused_5(at, "socks5h://" + std::string(256, 'u') + ":pass@", script);
         },
         {"97", "12", "97", "11"},
         {"97", "12", "97", "11"},
         ""},
        {"60 every code of SOCKS5",
         [](Scene& at) {
             for (const char code : "\1\2\3\4\5\6\7\10\11\310"s) {
                 Script5 script;
                 script.reply[1] = code;
                 refused_5(at, "socks5h://", script);
             }
         },
         {"97", "20", "97", "23", "97", "22", "97", "21", "97", "19",
          "97", "24", "97", "18", "97", "17", "97", "25", "97", "25"},
         {"97", "20", "97", "23", "97", "22", "97", "21", "97", "19",
          "97", "24", "97", "18", "97", "17", "97", "25", "97", "25"},
         ""},
        {"62 every code of SOCKS4, and an IPv6 address",
         [](Scene& at) {
             for (const char code : "\133\134\135\115"s) {  // 91, 92, 93, 77
                 connect_4(at, "socks4://me@", "http://192.0.2.1:80", code);
                 at.note(std::to_string(at.driver.proxy_error()));
             }
             at.connect_to("http://[::1]:80");
             at.note(std::to_string(at.driver.proxy_error()));
         },
         {"97", "26", "97", "7", "97", "8", "97", "31", "97", "27"},
         {"97", "26", "97", "7", "97", "8", "97", "31", "97", "27"},
         ""},
    };
}

}  // namespace uaio
