#include "tests/support/proxy_scene.h"

#include <memory>
#include <utility>

namespace uaio {
namespace {

// One connection of a proxy.
struct Served {
    ProxyScript script;
    std::size_t at = 0;      // the line expected next
    std::size_t taken = 0;   // received bytes that lines have consumed
    std::size_t echoed = 0;  // bytes echoed after the script
};

void serve_on(SimPeer& peer, Served& served) {
    while (served.at < served.script.lines.size()) {
        const ProxyScript::Line& line = served.script.lines[served.at];
        const std::string rest = peer.received().substr(served.taken);
        if (rest.size() < line.request.size()) return;
        if (!rest.starts_with(line.request)) return peer.reset();  // the test sees the reset
        served.taken += line.request.size();
        ++served.at;
        peer.send(line.answer);
        if (line.close) return peer.close();
    }
    if (!served.script.echoes) return;
    const std::size_t from = served.taken + served.echoed;
    if (peer.received().size() <= from) return;
    const std::string more = peer.received().substr(from);
    served.echoed += more.size();
    peer.send(more);
}

}  // namespace

ProxyScene::ProxyScene(std::uint64_t seed, const Faults& faults)
    : kernel(seed, faults), engine(kernel) {}

void ProxyScene::serve(std::uint16_t port, ProxyScript script) {
    serve(port, [script](std::size_t) { return script; });
}

void ProxyScene::serve(std::string_view path, ProxyScript script) {
    serve_at(kernel.listen_peer(path), [script](std::size_t) { return script; });
}

void ProxyScene::serve(std::uint16_t port,
                       std::function<ProxyScript(std::size_t connection)> script) {
    serve_at(kernel.listen_peer(port), std::move(script));
}

void ProxyScene::serve_at(SimListener& listener,
                          std::function<ProxyScript(std::size_t connection)> script) {
    const auto count = std::make_shared<std::size_t>(0);
    listener.on_accept([this, script, count](SimPeer& peer) {
        peers.push_back(&peer);
        const auto served = std::make_shared<Served>();
        served->script = script((*count)++);
        peer.on_receive([served](SimPeer& self) { serve_on(self, *served); });
        serve_on(peer, *served);
    });
}

Ended ProxyScene::dial(const std::string& target, const DialOptions& options) {
    Dialer dialer(target, options);
    Operation connect(engine);
    dialer.connect(connect.aio, stream, report);
    CHECK(connect.ended() == kPending);
    static_cast<void>(connect.aio.wait());
    return connect.ended();
}

bool ProxyScene::echoes(const std::string& early) {
    const std::string out = pattern(3000);
    std::string in(early.size() + out.size(), '\0');
    Operation write(engine, out);
    Operation read(engine, in);
    stream->read_all(read.aio);
    stream->write_all(write.aio);
    static_cast<void>(write.aio.wait());
    static_cast<void>(read.aio.wait());
    return read.ended() == success(in.size()) && write.ended() == success(out.size()) &&
           in == early + out;
}

bool ProxyScene::is_clean() {
    stream.reset();
    for (int turn = 0; turn < 20; ++turn)
        engine.run_once(std::chrono::milliseconds(1));
    return kernel.pending_operations() == 0 && kernel.open_descriptors() == 0 &&
           engine.statistics().in_flight == 0;
}

DialOptions quiet_options(const std::string& proxy) {
    DialOptions options;
    options.proxy = proxy;
    options.no_proxy = "";
    options.resolve = {"origin.test:80:127.0.0.1,::1", "proxy.test:1080:127.0.0.1",
                       "second.test:1081:127.0.0.1"};
    return options;
}

}  // namespace uaio
