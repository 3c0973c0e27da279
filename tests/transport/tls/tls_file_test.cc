// Files over TLS, where this process reads the bytes that it sends.
#include "tests/support/file_changes.h"
#include "tests/support/tls/ends.h"

namespace uaio::tls_file_test {

using namespace std::chrono_literals;

// A tls::Connector and its lower connector.
class SecureConnector final : public Connector {
public:
    explicit SecureConnector(std::unique_ptr<Connector> below)
        : below_(std::move(below)),
          secure_(*below_, tls::Context(client_options()), to_localhost()) {}
    void connect(Aio& aio, StreamPtr& out) override { secure_.connect(aio, out); }

private:
    std::unique_ptr<Connector> below_;
    tls::Connector secure_;
};

SceneLayer tls_layer() {
    SceneLayer layer;
    layer.server = [](AcceptorFactory plain) {
        return tls::acceptor(std::move(plain), tls::Context(server_options()));
    };
    layer.client = [](std::unique_ptr<Connector> plain) {
        return std::make_unique<SecureConnector>(std::move(plain));
    };
    return layer;
}

TEST_CASE_TEMPLATE("tls: a file that changes while it is served affects only its own response",
                   Kernel, OnLinux, OnPoll) {
    check_file_changes(Kernel::kKind, tls_layer());
}

TEST_CASE("tls: a file is served whole although its reads are short and interrupted") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const ChangingFile folder(ChangingFile::kLarge / 2);
        FileScene scene(OnSim::kKind, tls_layer(),
                        {.short_write = 100,
                         .short_read = 300,
                         .interrupted_operation = 100,
                         .latency_max = 1ms},
                        seed);
        scene.serve(http::file(folder.at("changing")));
        FileClient client(scene);
        CHECK(client.get("/") == 200);
        CHECK(client.content() == folder.content);
    }
}

}  // namespace uaio::tls_file_test
