// Greets every TLS client, and echoes all bytes, until it is killed:
//
//     tls_echo CERTIFICATE KEY
//
// Both are files in PEM. Prints its URL, with a port chosen by the kernel. For
// tests/tls_interop_test.py.
#include <uaio/engine.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "tests/support/relay.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>

namespace {

std::string read_file(const char* path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

int serve(const char* certificate, const char* key) {
    uaio::Engine engine;
    uaio::tls::ContextOptions options;
    options.verify_peer = false;
    options.certificates.push_back({.chain = read_file(certificate), .key = read_file(key)});
    auto below = std::make_unique<uaio::tcp::Listener>(engine, uaio::Endpoint::loopback(0));
    std::printf("tls://%s\n", below->local_endpoint().to_string().c_str());
    std::fflush(stdout);
    uaio::tls::Listener listener(engine, std::move(below), uaio::tls::Context(options));
    uaio::spawn(engine, uaio::serve_echo(listener));
    engine.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s CERTIFICATE KEY\n", argv[0]);
        return 2;
    }
    try {
        return serve(argv[1], argv[2]);
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
