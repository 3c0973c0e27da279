// Which certificates are accepted, and the errors for the others.
#include <uaio/argument_error.h>

#include "tests/support/tls/ends.h"

#include <filesystem>
#include <fstream>

namespace uaio::tls_certificate_test {

using tls::Version;

tls::ContextOptions showing(const tls::Certificate& certificate) {
    tls::ContextOptions options = server_options();
    options.certificates = {certificate};
    return options;
}

// The result of a client that trusts the test authority, for this certificate, in both versions.
Ended ended_with(const tls::Certificate& certificate, const std::string& name = "localhost") {
    Ended ended;
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        tls::ContextOptions options = showing(certificate);
        options.max_version = version;
        options.ciphers = "DEFAULT:@SECLEVEL=0";  // lets the server send what the client refuses
        TlsEnds ends{tls::Context(client_options()), tls::Context(options)};
        ends.shake_hands({.server_name = name, .session_key = {}});
        if (ended.calls > 0) CHECK(ended == ends.client_ended());
        ended = ends.client_ended();
        // The server gets the alert: in TLS 1.3 possibly after its own handshake.
        if (ended.error) {
            std::string in(1, '\0');
            const Ended server =
                ends.server_ended().error ? ends.server_ended() : ends.read(ends.server(), in);
            CHECK(static_cast<bool>(server.error));
            CHECK(server.error.category() == tls_category());
        }
    }
    CHECK(!uaio::strerror(ended.error).empty());
    return ended;
}

TEST_CASE("a valid certificate is accepted") {
    CHECK(ended_with(test_certificate()) == success(0));
    CHECK(ended_with(test_certificate(), "LOCALHOST.") == success(0));
    CHECK(ended_with(test_certificate(), "127.0.0.1") == success(0));
    const TestAuthority& authority = test_authority();
    CHECK(ended_with(authority.issue({.names = {"DNS:*.example.org"}}), "a.example.org") ==
          success(0));
    CHECK(ended_with(authority.issue({.names = {"IP:::1"}}), "::1") == success(0));
    CHECK(ended_with(authority.issue({.key = TestKey::rsa2048})) == success(0));
}

TEST_CASE("an invalid certificate is refused, and the error states the reason") {
    const TestAuthority& authority = test_authority();
    CHECK(ended_with(authority.issue({.from_days = -30, .to_days = -1})) ==
          failure(TlsErrc::certificate_expired));
    CHECK(ended_with(authority.issue({.from_days = 1})) ==
          failure(TlsErrc::certificate_not_yet_valid));
    CHECK(ended_with(authority.issue({.names = {"DNS:other.example.org"}})) ==
          failure(TlsErrc::certificate_name_mismatch));
    CHECK(ended_with(authority.issue({.names = {"DNS:*.example.org"}}), "a.b.example.org") ==
          failure(TlsErrc::certificate_name_mismatch));
    CHECK(ended_with(test_certificate(), "127.0.0.2") ==
          failure(TlsErrc::certificate_name_mismatch));
    CHECK(ended_with(TestAuthority("another authority").issue()) ==
          failure(TlsErrc::certificate_untrusted));
    CHECK(ended_with(TestAuthority::self_signed({})) == failure(TlsErrc::certificate_self_signed));
    CHECK(ended_with(authority.issue({.usage = "clientAuth"})) ==
          failure(TlsErrc::certificate_wrong_purpose));
    CHECK(ended_with(authority.issue({.key = TestKey::rsa1024})) ==
          failure(TlsErrc::certificate_weak));
    TestSubject old_digest;
    old_digest.sha1 = true;
    CHECK(ended_with(authority.issue(old_digest)) == failure(TlsErrc::certificate_weak));
}

TEST_CASE(
    "verify_peer and verify_name of false accept any certificate, but a pin is still checked") {
    const tls::Certificate unknown = TestAuthority::self_signed({});
    tls::ContextOptions options;
    options.verify_peer = false;
    for (const bool right : {true, false}) {
        options.pins = {TestAuthority::pin_of(right ? unknown.chain : test_certificate().chain)};
        TlsEnds ends{tls::Context(options), tls::Context(showing(unknown))};
        ends.shake_hands();
        CHECK(ends.client_ended() ==
              (right ? success(0) : failure(TlsErrc::certificate_not_pinned)));
    }
    options = client_options();
    options.verify_name = false;
    options.pins = {TestAuthority::pin_of(test_certificate().chain)};
    TlsEnds ends{tls::Context(options), tls::Context(server_options())};
    ends.shake_hands({});
    CHECK(ends.client_ended() == success(0));
}

TEST_CASE("a client that verifies names refuses to connect without one") {
    TlsEnds ends;
    Operation connect(ends.engine());
    StreamPtr out;
    tls::connect(tls::Context(client_options()),
                 std::make_unique<PipeStream>(ends.engine(), ends.to_client(), ends.to_server()),
                 {}, connect.aio, out);
    REQUIRE(ends.run_until([&] { return connect.done(); }));
    CHECK(connect.ended() == failure(ArgumentErrc::invalid_server_name));
    CHECK(ends.to_server().taken().empty());
    CHECK(ends.to_server().write_ended());
}

TEST_CASE("a server that requires a client's certificate gets it, or refuses the client") {
    tls::ContextOptions wants = server_options();
    wants.require_client_certificate = true;
    wants.authorities = test_authority().certificate();
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        wants.max_version = version;
        const tls::Context server(wants);
        tls::ContextOptions options = client_options();
        {
            TlsEnds ends{tls::Context(options), server};
            ends.shake_hands();
            CHECK(ends.server_ended() == failure(TlsErrc::certificate_missing));
            std::string in(1, '\0');
            const Ended client =
                version == Version::tls_1_2 ? ends.client_ended() : ends.read(ends.client(), in);
            CHECK(client == failure(version == Version::tls_1_2 ? TlsErrc::refused_by_peer
                                                                : TlsErrc::peer_wants_certificate));
        }
        options.certificates = {TestAuthority("another authority").issue()};
        {
            TlsEnds ends{tls::Context(options), server};
            ends.shake_hands();
            CHECK(ends.server_ended() == failure(TlsErrc::certificate_untrusted));
        }
        options.certificates = {test_authority().issue({.name = "somebody"}, "a password")};
        TlsEnds ends{tls::Context(options), server};
        ends.joined();
        CHECK(tls::details(ends.server()).peer == "CN=somebody");
        CHECK(tls::details(ends.client()).peer == "CN=localhost");
    }
}

TEST_CASE("a server presents the certificate for the requested name") {
    const TestAuthority& authority = test_authority();
    tls::ContextOptions options = server_options();
    options.certificates = {
        authority.issue({.name = "first", .names = {"DNS:a.test"}}),
        authority.issue({.name = "second", .names = {"DNS:*.b.test"}}),
        authority.issue({.name = "rsa", .names = {"DNS:c.test"}, .key = TestKey::rsa2048}),
        authority.issue({.name = "p256", .names = {"DNS:c.test"}})};
    const tls::Context server(options);
    tls::ContextOptions any = client_options();
    any.verify_name = false;
    const auto shown = [&](const std::string& name) {
        TlsEnds ends{tls::Context(any), server};
        ends.shake_hands({.server_name = name, .session_key = {}});
        return tls::details(ends.client()).peer;
    };
    CHECK(shown("a.test") == "CN=first");
    CHECK(shown("x.b.test") == "CN=second");
    CHECK(shown("unknown.test") == "CN=first");
    CHECK(shown("127.0.0.1") == "CN=first");
    any.max_version = Version::tls_1_2;
    any.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    CHECK(shown("c.test") == "CN=rsa");
    any.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    CHECK(shown("c.test") == "CN=p256");
}

TEST_CASE("trusted certificates are loaded from files and directories") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("uaio-tls-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream(folder / name) << text;
        return (folder / name).string();
    };
    tls::ContextOptions server = showing({write("chain.pem", test_certificate().chain),
                                          write("key.pem", test_certificate().key),
                                          {}});
    tls::ContextOptions client;
    client.authorities = write("authority.pem", test_authority().certificate());
    TlsEnds ends{tls::Context(client), tls::Context(server)};
    ends.joined();
    client.authorities_folder = folder;
    client.authorities = {};
    {
        // No file there has a hash as its name.
        TlsEnds none{tls::Context(client), tls::Context(server)};
        none.shake_hands();
        CHECK(none.client_ended() == failure(TlsErrc::certificate_untrusted));
    }
    client.authorities_folder = {};
    TlsEnds system{tls::Context(client), tls::Context(server)};
    system.shake_hands();
    CHECK(system.client_ended() == failure(TlsErrc::certificate_untrusted));
    std::filesystem::remove_all(folder);
}

}  // namespace uaio::tls_certificate_test
