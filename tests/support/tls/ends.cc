#include "tests/support/tls/ends.h"

#include <cstdlib>

namespace uaio {
namespace {

// For a run of all of the tests on a kernel that encrypts.
bool offload_asked() { return std::getenv("UAIO_TEST_OFFLOAD") != nullptr; }

}  // namespace

tls::ContextOptions client_options(tls::Version max) {
    tls::ContextOptions options;
    options.authorities = test_authority().certificate();
    options.max_version = max;
    options.offload = offload_asked();
    return options;
}

tls::ContextOptions server_options(tls::Version max) {
    tls::ContextOptions options;
    options.verify_peer = false;
    options.certificates = {test_certificate()};
    options.max_version = max;
    options.offload = offload_asked();
    return options;
}

TlsEnds::TlsEnds(const tls::Context& client, const tls::Context& server)
    : client_context_(client), server_context_(server) {}

TlsEnds::TlsEnds(tls::Version version)
    : TlsEnds(tls::Context(client_options(version)), tls::Context(server_options(version))) {}

void TlsEnds::begin(const tls::ClientOptions& options) {
    tls::connect(client_context_, client_below(), options, connecting_.aio, client_);
    tls::accept(server_context_, server_below(), accepting_.aio, server_);
}

void TlsEnds::shake_hands(const tls::ClientOptions& options) {
    begin(options);
    REQUIRE(run_until([&] { return connecting_.done() && accepting_.done(); }));
}

TlsEnds& TlsEnds::joined() {
    shake_hands();
    REQUIRE(client_ended() == success(0));
    REQUIRE(server_ended() == success(0));
    return *this;
}

Ended TlsEnds::write_all(Stream& stream, std::string_view bytes) {
    Operation write(engine_, bytes);
    stream.write_all(write.aio);
    REQUIRE(run_until([&] { return write.done(); }));
    return write.ended();
}

Ended TlsEnds::read(Stream& stream, std::string& into) {
    Operation read(engine_, into);
    stream.read(read.aio);
    REQUIRE(run_until([&] { return read.done(); }));
    return read.ended();
}

Ended TlsEnds::read_all(Stream& stream, std::string& into) {
    Operation read(engine_, into);
    stream.read_all(read.aio);
    REQUIRE(run_until([&] { return read.done(); }));
    return read.ended();
}

}  // namespace uaio
