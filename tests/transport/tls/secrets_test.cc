// No message of the library contains a secret: each structure of its interface that can hold one
// gets marked secrets, in the right field or by mistake, and fails.
#include <uaio/easy.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/tcp.h>

#include "tests/support/temporary_folder.h"
#include "tests/support/tls/ends.h"

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace uaio::secrets_test {

const std::string kMark = "s3cr3tMARK";

// All messages so far.
class Messages {
public:
    void add(std::string_view text) { text_.append(text).append("\n"); }
    void add(std::error_code error) {
        add(error.message());
        add(uaio::strerror(error));
        add(error.category().name());
    }
    // Adds the exception of a call, if any.
    void thrown_by(const std::function<void()>& call) {
        try {
            call();
        } catch (const std::system_error& error) {
            add(error.what());
            add(error.code());
        } catch (const std::exception& error) {
            add(error.what());
        }
    }
    bool has_mark() const { return text_.find(kMark) != std::string::npos; }
    bool empty() const { return text_.empty(); }
    EngineOptions hook(KernelKind kind) {
        EngineOptions options;
        options.log = [this](LogLevel, std::string_view text) { add(text); };
        return options_on(kind, options);
    }

private:
    std::string text_;
};

// Text that a Dialer looks up as a name.
bool is_name(const std::string& secret) {
    return secret == kMark || secret.starts_with("MII") || secret.starts_with("c2V");
}

// Texts that a user may enter as a password, a key or a URL.
std::vector<std::string> secrets() {
    return {kMark,
            "user:" + kMark + "@127.0.0.1:1",
            "http://user:" + kMark + "@127.0.0.1:1/?token=" + kMark,
            "https://user:" + kMark + "@127.0.0.1:1/",
            "socks5h://user:" + kMark + "@127.0.0.1:1",
            "nonsense://user:" + kMark + "@127.0.0.1:1",
            "http://user:a/" + kMark + "@127.0.0.1:1",
            "http://[" + kMark + "@127.0.0.1:1",
            "Cookie: " + kMark,
            "Authorization " + kMark + "\r\n",
            "\n-----BEGIN PRIVATE KEY-----\n" + kMark + "\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----" + kMark,
            "BEGIN PRIVATE KEY MIGH" + kMark,
            "c2VjcmV0" + kMark + "AAAAAAAAAAAAA",
            "MII" + std::string(60, 'A') + kMark};
}

TEST_CASE("the tests for secrets find one in a message") {
    Messages messages;
    CHECK(!messages.has_mark());
    messages.thrown_by([] { throw std::runtime_error("the password is " + kMark); });
    CHECK(messages.has_mark());
}

TEST_CASE("no message quotes an option of a tls context that holds a secret") {
    Messages messages;
    for (const std::string& secret : secrets()) {
        // Names of files are quoted; text in the form of a key or of a URL with a password is not.
        if (secret == kMark || secret.starts_with("Cookie") || secret.find('@') != secret.npos)
            continue;
        for (std::string tls::ContextOptions::*const member :
             {&tls::ContextOptions::authorities, &tls::ContextOptions::authorities_folder,
              &tls::ContextOptions::ciphers, &tls::ContextOptions::cipher_suites}) {
            tls::ContextOptions options;
            options.*member = secret;
            messages.thrown_by([&] { const tls::Context context(options); });
        }
        tls::ContextOptions options;
        options.certificates = {test_certificate()};
        options.certificates.front().chain = secret;
        messages.thrown_by([&] { const tls::Context context(options); });
        options = {};
        options.pins = {secret};
        messages.thrown_by([&] { const tls::Context context(options); });
    }
    tls::ContextOptions options;
    options.certificates = {test_authority().issue({}, kMark)};
    options.certificates.front().password = "not " + kMark;
    messages.thrown_by([&] { const tls::Context context(options); });
    CHECK(!messages.empty());
    CHECK(!messages.has_mark());
}

TEST_CASE("no message quotes a certificate's key or password") {
    Messages messages;
    for (const std::string& secret : secrets()) {
        tls::ContextOptions options;
        options.certificates = {test_certificate()};
        options.certificates.front().key = secret;
        messages.thrown_by([&] { const tls::Context context(options); });
        options.certificates = {test_authority().issue({}, "another")};
        options.certificates.front().password = secret;
        messages.thrown_by([&] { const tls::Context context(options); });
    }
    CHECK(!messages.empty());
    CHECK(!messages.has_mark());
}

TEST_CASE_TEMPLATE("no error quotes the target, proxy or fields of a Dialer", Kernel, OnLinux,
                   OnPoll) {
    Messages messages;
    Engine engine(messages.hook(Kernel::kKind));
    const auto dial = [&](const std::string& target, const DialOptions& options) {
        StreamPtr stream;
        DialReport report;
        Operation connect(engine);
        std::optional<Dialer> dialer;
        messages.thrown_by([&] { dialer.emplace(target, options); });
        if (!dialer) return;
        dialer->connect(connect.aio, stream, report);
        REQUIRE(run_until(engine, [&] { return connect.done(); }));
        messages.add(connect.ended().error);
        if (report.peer) messages.add(report.peer->to_string());
        easy::Connection connection(engine);
        Operation again(engine);
        connection.connect(target, options, again.aio);
        REQUIRE(run_until(engine, [&] { return again.done(); }));
        messages.add(again.ended().error);
    };
    for (const std::string& secret : secrets()) {
        if (is_name(secret)) continue;
        DialOptions plain;
        plain.proxy = "";
        dial(secret, plain);
        const std::string target = "tcp://127.0.0.1:1";
        DialOptions options;
        options.proxy = secret;
        dial(target, options);
        options.proxy = "http://127.0.0.1:1";
        options.pre_proxy = secret;
        dial(target, options);
        options = {};
        options.proxy = "http://127.0.0.1:1";
        options.proxy_fields = {secret};
        dial(target, options);
        options = plain;
        options.resolve = {secret};
        dial(target, options);
        options = plain;
        options.connect_to = {secret};
        dial(target, options);
        for (std::string DialOptions::*const member :
             {&DialOptions::local_address, &DialOptions::interface, &DialOptions::unix_path}) {
            options = plain;
            options.*member = secret;
            dial(target, options);
        }
        ::setenv("http_proxy", secret.c_str(), 1);
        dial("http://127.0.0.1:1", {});
        ::unsetenv("http_proxy");
    }
    CHECK(!messages.empty());
    CHECK(!messages.has_mark());
}

TEST_CASE_TEMPLATE("no message quotes a URL, header or path that holds a secret", Kernel, OnLinux,
                   OnPoll) {
    Messages messages;
    Engine engine(messages.hook(Kernel::kKind));
    for (const std::string& secret : secrets()) {
        if (secret.find('@') != secret.npos) {
            messages.thrown_by([&] { const http::Request request(secret); });
        }
        http::Request request;
        messages.add(request.set_url(secret));
        messages.add(request.headers().set("Authorization", secret));
        messages.add(request.headers().set("Cookie\n", secret));
        if (secret.find("---") == secret.npos) continue;
        messages.thrown_by([&] { static_cast<void>(http::directory("/nowhere/\n" + secret)); });
        messages.thrown_by([&] { const local::Listener listener(engine, secret + secret); });
    }
    messages.thrown_by([] { const http::Request request("http://h/ x?token=" + kMark); });
    messages.thrown_by([] { const http::Request request("ftp://h/?token=" + kMark); });
    CHECK(!messages.empty());
    CHECK(!messages.has_mark());
}

}  // namespace uaio::secrets_test
