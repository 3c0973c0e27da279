#include "tests/matrix/scripted_peer.h"

#include <utility>

namespace uaio::matrix {
namespace {

class SameConnector final : public Connector {
public:
    explicit SameConnector(Connector& below) : below_(below) {}
    void connect(Aio& aio, StreamPtr& out) override { below_.connect(aio, out); }

private:
    Connector& below_;
};

}  // namespace

Transport plain_transport() {
    return {
        .tls = false,
        .context = {},
        .peer = [](SimPeer& socket, Transport::Side,
                   bool) { return std::make_unique<ScriptedPeer>(socket); },
        .acceptor = [](AcceptorFactory below) { return below; },
        .connector = [](Connector& below) -> std::unique_ptr<Connector> {
            return std::make_unique<SameConnector>(below);
        },
    };
}

}  // namespace uaio::matrix
