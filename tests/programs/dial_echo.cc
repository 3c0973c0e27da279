// Dials a server that greets and then echoes, and checks that 300,000 bytes come back:
//
//     dial_echo TARGET [NAME=VALUE]...
//
// Names: proxy, pre_proxy, authentication (basic, digest, any), header (v1, v2), connect_to,
// resolve, timeout_ms, ca (a file), verify (off). Prints "ok" and facts about the connection, or
// "error", its category and the text of strerror(). For tests/proxy_interop_test.py.
#include <uaio/dialer.h>
#include <uaio/engine.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace uaio {
namespace {

constexpr std::size_t kBytes = 300'000;
const std::string kGreeting = "hello from this server\n";

// A pattern whose bytes identify their offset.
std::string pattern() {
    std::string bytes(kBytes, '\0');
    for (std::size_t i = 0; i < kBytes; ++i)
        bytes[i] = static_cast<char>((i * 2654435761u) >> 11);
    return bytes;
}

bool set_option(DialOptions& options, std::string_view name, const std::string& value) {
    if (name == "proxy") {
        options.proxy = value;
    } else if (name == "pre_proxy") {
        options.pre_proxy = value;
    } else if (name == "authentication") {
        options.proxy_authentication = value == "digest" ? ProxyAuthentication::digest
                                       : value == "any"  ? ProxyAuthentication::any
                                                         : ProxyAuthentication::basic;
    } else if (name == "header") {
        options.proxy_header = value == "v2" ? ProxyHeader::v2 : ProxyHeader::v1;
    } else if (name == "connect_to") {
        options.connect_to.push_back(value);
    } else if (name == "resolve") {
        options.resolve.push_back(value);
    } else if (name == "ca" || name == "verify") {
        tls::ContextOptions context;
        if (name == "ca") context.authorities = value;
        context.verify_peer = context.verify_name = value != "off";
        options.tls_context = options.proxy_tls_context = tls::Context(context);
    } else if (name == "timeout_ms") {
        options.timeout = std::chrono::milliseconds(std::stoi(value));
    } else {
        return false;
    }
    return true;
}

int print_error(std::error_code error) {
    std::printf("error %s %d: %s\n", error.category().name(), error.value(),
                strerror(error).c_str());
    return 1;
}

int dial(const std::string& target, const DialOptions& options) {
    Engine engine;
    Dialer dialer(target, options);
    Aio connect(engine);
    StreamPtr stream;
    DialReport report;
    dialer.connect(connect, stream, report);
    if (const std::error_code error = connect.wait()) return print_error(error);
    const std::string out = pattern();
    std::string in(kGreeting.size() + kBytes, '\0');
    Aio read(engine);
    Aio write(engine);
    read.set_iov(in.data(), in.size());
    write.set_iov(out.data(), out.size());
    stream->read_all(read);
    stream->write_all(write);
    if (const std::error_code error = write.wait()) return print_error(error);
    if (const std::error_code error = read.wait()) return print_error(error);
    if (in != kGreeting + out) {
        std::puts("error: the echoed bytes differ");
        return 1;
    }
    std::printf("ok connections=%u status=%d resolve=%lld connect=%lld proxy=%lld tls=%lld us\n",
                report.connections, report.proxy_status,
                static_cast<long long>(report.resolve.count() / 1000),
                static_cast<long long>(report.connect.count() / 1000),
                static_cast<long long>(report.proxy.count() / 1000),
                static_cast<long long>(report.tls.count() / 1000));
    return 0;
}

}  // namespace
}  // namespace uaio

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s TARGET [NAME=VALUE]...\n", argv[0]);
        return 2;
    }
    uaio::DialOptions options;
    options.no_proxy = "";
    options.timeout = std::chrono::seconds(20);
    for (int i = 2; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const std::size_t equals = argument.find('=');
        const bool known =
            equals != argument.npos && uaio::set_option(options, argument.substr(0, equals),
                                                        std::string(argument.substr(equals + 1)));
        if (!known) {
            std::fprintf(stderr, "%s: no option %s\n", argv[0], argv[i]);
            return 2;
        }
    }
    return uaio::dial(argv[1], options);
}
