// The server names that TLS accepts, on both sides, before OpenSSL gets them.
#include <uaio/argument_error.h>

#include "tests/support/tls/ends.h"
#include "transport/tls/openssl.h"
#include "transport/tls/server_name.h"

#include <string>
#include <vector>

namespace uaio::tls_server_name_test {

using tls::ServerName;
using tls::Version;

// The result of parsing a name: the name, an address in hexadecimal, or "refused".
std::string parsed(std::string_view text) {
    ServerName server;
    if (!tls::parse_server_name(text, server)) return "refused";
    std::string shown(server.name());
    for (const unsigned char byte : server.address()) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        shown += kDigits[byte >> 4];
        shown += kDigits[byte & 15];
    }
    return shown;
}

TEST_CASE("a server name is a DNS name or an address, and nothing else") {
    CHECK(parsed("a.dot.test") == "a.dot.test");
    CHECK(parsed("a.dot.test.") == "a.dot.test");
    CHECK(parsed("localhost") == "localhost");
    CHECK(parsed("_service.xn--bcher-kva.test") == "_service.xn--bcher-kva.test");
    for (const char* bad : {".dot.test", ".test", ".", "..", "a..test", "a.test..", "", "a b.test",
                            "*.test", "a/b", "a@b",
                            "b\xc3\xbc"
                            "cher.test",
                            "a\n.test", "[::1]", "127.0.0.1:80", "host:80", "[::1"}) {
        CAPTURE(bad);
        CHECK(parsed(bad) == "refused");
    }
    CHECK(parsed(std::string_view("a\0.dot.test", 11)) == "refused");
    CHECK(parsed(std::string_view("127.0.0.1\0.test", 15)) == "refused");
    CHECK(parsed(std::string_view("a.dot.test\0", 11)) == "refused");
    const std::string label(63, 'a');
    CHECK(parsed(label + ".test") == label + ".test");
    CHECK(parsed("a" + label + ".test") == "refused");
    const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
    CHECK(parsed(longest + ".") == longest);
    CHECK(parsed(longest + "b") == "refused");
}

TEST_CASE("a server name that getaddrinfo parses as an address is that address") {
    CHECK(parsed("127.0.0.1") == "7f000001");
    CHECK(parsed("127.0.0.1.") == "7f000001");
    CHECK(parsed("127.1") == "7f000001");
    CHECK(parsed("0x7f.1") == "7f000001");
    CHECK(parsed("2130706433") == "7f000001");
    CHECK(parsed("::1") == "00000000000000000000000000000001");
    CHECK(parsed("fe80::1%eth0") == "fe800000000000000000000000000001");
    CHECK(parsed("::ffff:1.2.3.4") == "00000000000000000000ffff01020304");
    CHECK(parsed("127.0.0.1.test") == "127.0.0.1.test");
    CHECK(parsed("1::2::3") == "refused");
}

// The result of a client that expects `name` from a server with a certificate for `names`.
Ended ended_with(const std::vector<std::string>& names, const std::string& name,
                 const std::string& common = "a.dot.test") {
    tls::ContextOptions options = server_options();
    options.certificates = {test_authority().issue({.name = common, .names = names})};
    TlsEnds ends{tls::Context(client_options()), tls::Context(options)};
    ends.begin({.server_name = name, .session_key = {}});
    REQUIRE(ends.run_until([&] { return ends.connecting().done(); }));
    return ends.client_ended();
}

TEST_CASE("a client refuses a malformed server name before it sends a byte") {
    const std::string nul("a.dot.test\0.evil.test", 21);
    for (const std::string& name : {std::string(".dot.test"), std::string(".test"),
                                    std::string("a..test"), nul, std::string("*.dot.test")}) {
        CAPTURE(name);
        CHECK(ended_with({"DNS:a.dot.test", "DNS:*.dot.test"}, name) ==
              failure(ArgumentErrc::invalid_server_name));
        // Also without verification: the client would send it.
        tls::ContextOptions unverified;
        unverified.verify_peer = false;
        TlsEnds ends{tls::Context(unverified), tls::Context(server_options())};
        ends.begin({.server_name = name, .session_key = {}});
        REQUIRE(ends.run_until([&] { return ends.connecting().done(); }));
        CHECK(ends.client_ended() == failure(ArgumentErrc::invalid_server_name));
        CHECK(ends.to_server().taken().empty());
    }
}

TEST_CASE("a certificate's common name never matches, alone or beside other names") {
    CHECK(ended_with({"DNS:a.dot.test"}, "a.dot.test") == success(0));
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{}, {"IP:127.0.0.1"}, {"email:a@dot.test"}, {"DNS:b.test"}}) {
        CHECK(ended_with(names, "a.dot.test") == failure(TlsErrc::certificate_name_mismatch));
    }
    CHECK(ended_with({}, "127.0.0.1", "127.0.0.1") == failure(TlsErrc::certificate_name_mismatch));
}

TEST_CASE("only an IP entry matches an address, and a wildcard matches one whole label") {
    CHECK(ended_with({"IP:127.0.0.1"}, "127.0.0.1") == success(0));
    CHECK(ended_with({"IP:127.0.0.1"}, "127.1") == success(0));
    CHECK(ended_with({"IP:::1"}, "::1%lo") == success(0));
    CHECK(ended_with({"DNS:127.0.0.1"}, "127.0.0.1") ==
          failure(TlsErrc::certificate_name_mismatch));
    CHECK(ended_with({"DNS:127.1"}, "127.1") == failure(TlsErrc::certificate_name_mismatch));
    CHECK(ended_with({"DNS:*.dot.test"}, "b.dot.test") == success(0));
    for (const char* wildcard : {"DNS:a*.dot.test", "DNS:*a.dot.test", "DNS:a.*.test"}) {
        CAPTURE(wildcard);
        CHECK(ended_with({wildcard}, "aa.dot.test") == failure(TlsErrc::certificate_name_mismatch));
    }
}

// A client of OpenSSL's, which sends any name, in TLS 1.2, where certificates are readable.
std::string hello_for(const std::string& name) {
    const tls::SslContextPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    const tls::SslPtr ssl(SSL_new(context.get()));
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    std::string copy = name;
    REQUIRE(SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     copy.data()) == 1);
    SSL_connect(ssl.get());
    ERR_clear_error();
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

TEST_CASE("a server matches no certificate to a malformed name of a client") {
    tls::ContextOptions options = server_options();
    options.certificates = {
        test_authority().issue({.name = "the first one", .names = {"DNS:first.test"}}),
        test_authority().issue({.name = "the other one", .names = {"DNS:a.dot.test"}}),
        test_authority().issue({.name = "without names", .names = {"email:a@cn.test"}}),
        test_authority().issue({.name = "cn.test", .names = {"IP:127.0.0.1"}})};
    const tls::Context server(options);
    const auto shown_for = [&](const std::string& name) {
        TlsEnds ends{tls::Context(client_options()), server};
        ends.to_server().insert(hello_for(name));
        StreamPtr out;
        Operation accept(ends.engine());
        tls::accept(server, ends.server_below(), accept.aio, out);
        REQUIRE(ends.run_until([&] { return !ends.to_client().taken().empty(); }));
        accept.aio.cancel();
        REQUIRE(ends.run_until([&] { return accept.done(); }));
        for (const char* subject : {"the first one", "the other one", "without names", "cn.test"}) {
            if (ends.to_client().taken().find(subject) != std::string::npos) return subject;
        }
        return "none";
    };
    CHECK(shown_for("a.dot.test") == std::string("the other one"));
    CHECK(shown_for("a.dot.test.") == std::string("the other one"));
    for (const char* name : {".dot.test", ".test", "a..test", "cn.test", "127.0.0.1", "unknown"}) {
        CAPTURE(name);
        CHECK(shown_for(name) == std::string("the first one"));
    }
}

TEST_CASE("TLS 1.2 offers only forward secrecy and AEAD unless a cipher list adds more") {
    const auto offered = [](const std::string& list) {
        tls::ContextOptions options = client_options(Version::tls_1_2);
        options.ciphers = list;
        TlsEnds ends{tls::Context(options), tls::Context(server_options())};
        return tls::details(ends.joined().client()).cipher;
    };
    CHECK(offered("") == "ECDHE-ECDSA-AES128-GCM-SHA256");
    tls::ContextOptions rsa = server_options(Version::tls_1_2);
    rsa.certificates = {test_authority().issue({.key = TestKey::rsa2048})};
    for (const char* old :
         {"AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA"}) {
        CAPTURE(old);
        for (const bool asked : {false, true}) {
            tls::ContextOptions client = client_options(Version::tls_1_2);
            tls::ContextOptions server = rsa;
            client.ciphers = old;
            server.ciphers = asked ? old : "";
            TlsEnds ends{tls::Context(client), tls::Context(server)};
            ends.shake_hands();
            CHECK(ends.server_ended() == (asked ? success(0) : failure(TlsErrc::no_common_cipher)));
            std::swap(client.ciphers, server.ciphers);
            TlsEnds other{tls::Context(client), tls::Context(server)};
            other.shake_hands();
            CHECK(other.server_ended() ==
                  (asked ? success(0) : failure(TlsErrc::no_common_cipher)));
        }
    }
}

}  // namespace uaio::tls_server_name_test
