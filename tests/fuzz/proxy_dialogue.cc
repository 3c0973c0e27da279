// A proxy's answers: the first byte chooses the dialogue, the others are all bytes that the proxy
// sends. However they are cut, the dialogue sends the same, consumes the same number of bytes, and
// ends in the same way.
#include "tests/fuzz/support/invariants.h"
#include "transport/proxy/connect.h"
#include "transport/proxy/socks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace uaio {
namespace {

using proxy::Progress;

std::string open_hash(std::string_view algorithm, std::string_view text) {
    return std::string(algorithm) + "(" + std::string(text) + ")";
}

std::unique_ptr<proxy::Dialogue> make_dialogue(unsigned kind) {
    Proxy proxy;
    proxy.has_credentials = kind & 1;
    proxy.user = proxy.has_credentials ? "user" : "";
    proxy.password = proxy.has_credentials ? "password" : "";
    constexpr ProxyKind kSocks[] = {ProxyKind::socks4a, ProxyKind::socks5h};
    if (kind & 2) {
        proxy.kind = kSocks[kind >> 2 & 1];
        return std::make_unique<proxy::SocksDialogue>(proxy, "origin.test", 80);
    }
    proxy::ConnectRequest request;
    request.host = "origin.test";
    request.port = 80;
    request.has_credentials = proxy.has_credentials;
    request.user = proxy.user;
    request.password = proxy.password;
    request.authentication = static_cast<ProxyAuthentication>((kind >> 2) % 3);
    request.hash = &open_hash;
    request.client_nonce = "nonce";
    return std::make_unique<proxy::ConnectDialogue>(request);
}

struct Outcome {
    Progress::State state = Progress::State::need_more;
    std::error_code error;
    std::string output;
    std::size_t consumed = 0;

    bool operator==(const Outcome&) const = default;
};

// Feeds the bytes to the dialogue in pieces of this size.
Outcome run(unsigned kind, std::string_view bytes, std::size_t piece) {
    const std::unique_ptr<proxy::Dialogue> dialogue = make_dialogue(kind);
    Outcome outcome;
    outcome.error = dialogue->begin(outcome.output);
    if (outcome.error) return outcome;
    std::string received;
    while (!bytes.empty()) {
        received += bytes.substr(0, piece);
        bytes.remove_prefix(std::min(piece, bytes.size()));
        for (;;) {
            const std::size_t before = outcome.output.size();
            const Progress progress = dialogue->consume(received, outcome.output);
            if (progress.consumed > received.size())
                fuzz::stop("the dialogue consumed more bytes than it was given");
            received.erase(0, progress.consumed);
            outcome.consumed += progress.consumed;
            outcome.state = progress.state;
            outcome.error = progress.error;
            if (progress.state == Progress::State::failed) outcome.consumed = 0;
            if (progress.state == Progress::State::failed ||
                progress.state == Progress::State::done) {
                return outcome;
            }
            if (progress.consumed == 0 && before == outcome.output.size()) break;
        }
    }
    outcome.state = Progress::State::need_more;  // or in the middle of skipped bytes
    outcome.consumed = 0;
    return outcome;
}

}  // namespace
}  // namespace uaio

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace uaio;
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Outcome whole = run(data[0], bytes, SIZE_MAX);
    for (const std::size_t piece : {1u, 2u, 3u + data[0] % 61u}) {
        if (run(data[0], bytes, piece) != whole)
            fuzz::stop("splitting the input changes the outcome");
    }
    return 0;
}
