// The settings that a tls::Context applies to its connections, and the options that it refuses.
#include <uaio/argument_error.h>

#include "tests/support/tls/ends.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace uaio::tls_context_test {

using tls::Version;

// The message of a refused context; empty if it is accepted.
std::string refusal(const tls::ContextOptions& options) {
    try {
        const tls::Context context(options);
    } catch (const std::system_error& error) {
        CHECK(static_cast<bool>(error.code()));
        return error.what();
    }
    return {};
}

bool contains(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

TEST_CASE("a context refuses a message limit below the tickets that follow a handshake") {
    tls::ContextOptions options = client_options();
    for (const unsigned too_few : {0U, 1U, 7U}) {
        options.idle_messages = too_few;
        CHECK(contains(refusal(options), "idle_messages is " + std::to_string(too_few)));
    }
    options.idle_messages = 8;
    TlsEnds ends{tls::Context(options), tls::Context(server_options())};
    ends.joined();
}

TEST_CASE("the error of a context names the invalid option") {
    tls::ContextOptions options = client_options();
    options.authorities = "/nowhere/authority.pem";
    CHECK(contains(refusal(options), "\"/nowhere/authority.pem\": No such file"));
    options.authorities = test_certificate().key;
    CHECK(contains(refusal(options), "the authorities"));
    options = client_options();
    options.authorities_folder = "/nowhere";
    CHECK(contains(refusal(options), "authorities_folder \"/nowhere\""));
    options = server_options();
    options.certificates = {{test_certificate().chain, test_authority().issue().key, {}}};
    CHECK(contains(refusal(options),
                   "the key of the certificate given as text does not belong to it"));
    options.certificates = {test_authority().issue({}, "secret")};
    CHECK(refusal(options).empty());
    options.certificates[0].password = "wrong";
    CHECK(contains(refusal(options), "password"));
    options.certificates[0].password = "";
    CHECK(contains(refusal(options), "is encrypted, and Certificate::password is empty"));
    CHECK(contains(refusal(options), "openssl pkey"));
    CHECK(!contains(refusal(options), "interrupted"));
    options.certificates = {{test_certificate().chain, "nonsense", {}}};
    CHECK(contains(refusal(options), "neither PEM text nor the name of a file: No such file"));
    options.certificates = {{test_certificate().chain, "/dev/null", {}}};
    CHECK(contains(refusal(options), "is not a private key in PEM"));
    options.certificates = {{"/nowhere/chain.pem", test_certificate().key, {}}};
    CHECK(contains(refusal(options), "the certificate \"/nowhere/chain.pem\": No such file"));
    options = client_options();
    options.ciphers = "no-such-cipher";
    CHECK(contains(refusal(options), "ciphers \"no-such-cipher\""));
    options.ciphers = {};
    options.cipher_suites = "TLS_NO_SUCH_SUITE";
    CHECK(contains(refusal(options), "cipher_suites"));
    options = client_options();
    options.pins = {"sha256//short"};
    CHECK(contains(refusal(options), "sha256//short"));
    options = client_options();
    options.protocols = {""};
    CHECK(contains(refusal(options), "protocols"));
    options = client_options(Version::tls_1_2);
    options.min_version = Version::tls_1_3;
    CHECK(contains(refusal(options), "min_version"));
    options = client_options();
    options.key_log_file = "/nowhere/keys";
    CHECK(contains(refusal(options), "key_log_file \"/nowhere/keys\""));
}

TEST_CASE("a context refuses a file name that contains a NUL") {
    const std::string more("\0more", 5);
    std::string tls::ContextOptions::*const texts[] = {
        &tls::ContextOptions::authorities, &tls::ContextOptions::authorities_folder,
        &tls::ContextOptions::ciphers, &tls::ContextOptions::cipher_suites,
        &tls::ContextOptions::key_log_file};
    const char* const values[] = {"/dev/null", "/tmp", "DEFAULT", "TLS_AES_128_GCM_SHA256",
                                  "/dev/null"};
    for (std::size_t i = 0; i < std::size(texts); ++i) {
        CAPTURE(i);
        tls::ContextOptions options = client_options();
        options.*texts[i] = values[i] + more;
        CHECK(contains(refusal(options), "contains a NUL"));
    }
    tls::ContextOptions options = server_options();
    options.certificates[0].chain = "/dev/null" + more;
    CHECK(contains(refusal(options), "the certificate contains a NUL"));
    options = server_options();
    options.certificates[0].key = "/dev/null" + more;
    CHECK(contains(refusal(options), "the key of "));
    CHECK(contains(refusal(options), " contains a NUL"));
}

// Other text may precede a certificate (RFC 7468 2).
TEST_CASE("a certificate, its key and the authorities may have text before their PEM boundaries") {
    for (const std::string before :
         {"\n", " ", "\r\n", "\xef\xbb\xbf", "Bag Attributes\n    friendlyName: a\n"}) {
        CAPTURE(before);
        tls::ContextOptions client;
        client.authorities = before + test_authority().certificate();
        const tls::Certificate& own = test_certificate();
        tls::ContextOptions server;
        server.certificates = {{before + own.chain, before + own.key, {}}};
        CHECK(refusal(client).empty());
        CHECK(refusal(server).empty());
        std::string text = before + own.key;
        for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
            text.replace(at, 1, "\r\n");
        server.certificates.front().key = text;
        CHECK(refusal(server).empty());
    }
}

TEST_CASE("the error for a refused key never quotes it") {
    const std::string key = test_certificate().key;
    const std::string start = "-----BEGIN PRIVATE KEY-----\n";
    REQUIRE(key.starts_with(start));
    const std::string secret = key.substr(start.size(), 40);
    std::string one_line = key.substr(start.size(), key.find("\n-----END") - start.size());
    std::erase(one_line, '\n');
    for (const std::string& text :
         {"\n" + key.substr(0, 60), " " + key.substr(0, 100), key.substr(start.size()),
          key.substr(5), one_line, "-----BEGIN PRIVATE KEY-----" + one_line}) {
        for (std::string tls::Certificate::*const member :
             {&tls::Certificate::key, &tls::Certificate::chain}) {
            tls::ContextOptions options = server_options();
            options.certificates = {test_certificate()};
            options.certificates.front().*member = text;
            CHECK(!refusal(options).empty());
            CHECK(!contains(refusal(options), secret));
        }
        tls::ContextOptions options;
        for (std::string tls::ContextOptions::*const member :
             {&tls::ContextOptions::authorities, &tls::ContextOptions::authorities_folder,
              &tls::ContextOptions::ciphers, &tls::ContextOptions::cipher_suites,
              &tls::ContextOptions::key_log_file}) {
            options = {};
            options.*member = text;
            CHECK(!contains(refusal(options), secret));
        }
        options = {};
        options.pins = {text};
        CHECK(!contains(refusal(options), secret));
    }
}

TEST_CASE("a handshake uses the highest version that both sides allow, or fails") {
    tls::ContextOptions new_only = server_options();
    new_only.min_version = Version::tls_1_3;
    TlsEnds ends{tls::Context(client_options(Version::tls_1_2)), tls::Context(new_only)};
    ends.shake_hands();
    CHECK(ends.client_ended() == failure(TlsErrc::no_common_version));
    CHECK(ends.server_ended() == failure(TlsErrc::no_common_version));
    TlsEnds old{tls::Context(client_options()), tls::Context(server_options(Version::tls_1_2))};
    CHECK(tls::details(old.joined().client()).version == "TLSv1.2");
}

TEST_CASE("the cipher lists of TLS 1.2 and TLS 1.3 are separate") {
    tls::ContextOptions options = client_options();
    options.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305";
    options.cipher_suites = "TLS_AES_128_GCM_SHA256";
    TlsEnds ends{tls::Context(options), tls::Context(server_options())};
    CHECK(tls::details(ends.joined().client()).cipher == "TLS_AES_128_GCM_SHA256");
    TlsEnds old{tls::Context(options), tls::Context(server_options(Version::tls_1_2))};
    CHECK(tls::details(old.joined().client()).cipher == "ECDHE-ECDSA-CHACHA20-POLY1305");
    tls::ContextOptions other = server_options(Version::tls_1_2);
    other.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    TlsEnds none{tls::Context(options), tls::Context(other)};
    none.shake_hands();
    CHECK(none.server_ended() == failure(TlsErrc::no_common_cipher));
    CHECK(none.client_ended() == failure(TlsErrc::refused_by_peer));
}

TEST_CASE("ALPN selects a common protocol, none by default, and fails without a common one") {
    tls::ContextOptions client = client_options();
    tls::ContextOptions server = server_options();
    TlsEnds none{tls::Context(client), tls::Context(server)};
    CHECK(tls::details(none.joined().client()).protocol.empty());
    server.protocols = {"http/1.1", "other"};
    TlsEnds server_only{tls::Context(client), tls::Context(server)};
    CHECK(tls::details(server_only.joined().client()).protocol.empty());
    client.protocols = {"h2", "other", "http/1.1"};
    TlsEnds both{tls::Context(client), tls::Context(server)};
    CHECK(tls::details(both.joined().client()).protocol == "http/1.1");
    CHECK(tls::details(both.server()).protocol == "http/1.1");
    client.protocols = {"h2"};
    TlsEnds other{tls::Context(client), tls::Context(server)};
    other.shake_hands();
    CHECK(other.server_ended() == failure(TlsErrc::no_common_protocol));
    CHECK(other.client_ended() == failure(TlsErrc::no_common_protocol));
}

TEST_CASE("SNI contains a name without its trailing dot, and no address") {
    for (const auto& [asked, sent] :
         {std::pair<std::string, std::string>{"localhost.", "localhost"},
          {"127.0.0.1", ""},
          {"127.1", ""}}) {
        TlsEnds ends;
        ends.shake_hands({.server_name = asked, .session_key = {}});
        REQUIRE(ends.client_ended() == success(0));
        CHECK(tls::details(ends.server()).server_name == sent);
    }
    TlsEnds ends;
    ends.begin({.server_name = std::string(300, 'a'), .session_key = {}});
    REQUIRE(ends.run_until([&] { return ends.connecting().done(); }));
    CHECK(ends.client_ended() == failure(ArgumentErrc::invalid_server_name));
}

TEST_CASE("TLS secrets are logged only to key_log_file") {
    const std::filesystem::path file =
        std::filesystem::temp_directory_path() / ("uaio-keys-" + std::to_string(::getpid()));
    std::filesystem::remove(file);
    tls::ContextOptions options = client_options();
    options.key_log_file = file;
    {
        TlsEnds ends{tls::Context(options), tls::Context(server_options())};
        ends.joined();
    }
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    for (const char* label :
         {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
          "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"}) {
        CHECK(contains(text.str(), std::string(label) + " "));
    }
    const auto mode = std::filesystem::status(file).permissions();
    CHECK((mode & std::filesystem::perms::others_all) == std::filesystem::perms::none);
    std::filesystem::remove(file);
}

TEST_CASE("a context without resumption makes full handshakes") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        tls::ContextOptions options = server_options(version);
        options.resume = false;
        const tls::Context server(options);
        const tls::Context client(client_options());
        for (int round = 0; round < 2; ++round) {
            TlsEnds ends(client, server);
            ends.joined();
            ends.run_some();
        }
        CHECK(client.handshakes() == 2);
        CHECK(client.resumed() == 0);
    }
}

TEST_CASE("a peer that does not speak TLS is reported as not_tls") {
    TlsEnds ends;
    ends.to_client().insert("HTTP/1.1 400 Bad Request\r\n\r\n");
    StreamPtr out;
    Operation connect(ends.engine());
    tls::connect(tls::Context(client_options()),
                 std::make_unique<PipeStream>(ends.engine(), ends.to_client(), ends.to_server()),
                 to_localhost(), connect.aio, out);
    REQUIRE(ends.run_until([&] { return connect.done(); }));
    CHECK(connect.ended() == failure(TlsErrc::not_tls));
    TlsEnds server;
    server.to_server().insert("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    Operation accept(server.engine());
    tls::accept(
        tls::Context(server_options()),
        std::make_unique<PipeStream>(server.engine(), server.to_server(), server.to_client()),
        accept.aio, out);
    REQUIRE(server.run_until([&] { return accept.done(); }));
    CHECK(accept.ended() == failure(TlsErrc::not_tls));
}

TEST_CASE("every tls error has a name and a sentence of its own") {
    std::vector<std::string> seen;
    for (int code = 1; code <= static_cast<int>(TlsErrc::key_used_up); ++code) {
        const std::error_code error(code, tls_category());
        CHECK(error.message().find("unknown") != 0);
        CHECK(std::find(seen.begin(), seen.end(), uaio::strerror(error)) == seen.end());
        seen.push_back(uaio::strerror(error));
    }
    CHECK(std::string(tls_category().name()) == "tls");
}

TEST_CASE("tls::offload() probes kernel TLS once and states a reason") {
    const tls::Offload first = tls::offload();
    CHECK(!first.reason.empty());
    CHECK(first.reason.data() == tls::offload().reason.data());
    if (!first.available) report_skip(std::string(first.reason).c_str());
}

}  // namespace uaio::tls_context_test
