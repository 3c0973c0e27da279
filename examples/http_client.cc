// Requests a target from an HTTP server, over reused connections.
//
//   http_client ADDRESS:PORT TARGET [TIMES [FILE]]   FILE is sent by POST
//   http_client                                      requests from a server of its own
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace {

int ask(uaio::Engine& engine, const uaio::Endpoint& endpoint, const std::string& target, int times,
        const std::string& content) {
    uaio::tcp::Connector connector(endpoint);
    uaio::http::Client client(connector);
    uaio::http::Request request("http://" + endpoint.to_string());
    if (const auto error = request.set_target(target)) {
        std::fprintf(stderr, "%s: %s\n", target.c_str(), uaio::strerror(error).c_str());
        return 1;
    }
    if (!content.empty() && (request.set_method("POST") || request.set_content(content))) return 1;
    uaio::http::Response response;
    uaio::Aio aio(engine);
    aio.set_timeout(std::chrono::seconds(30));
    for (int i = 0; i < times; ++i) {
        client.transact(request, response, aio);
        if (const auto error = aio.wait()) {
            std::fprintf(stderr, "%s\n", uaio::strerror(error).c_str());
            return 1;
        }
    }
    const uaio::http::ClientStatistics statistics = client.statistics();
    std::fprintf(stderr, "%d, %zu bytes, %llu connections\n", response.status(), aio.count(),
                 static_cast<unsigned long long>(statistics.connections));
    std::fwrite(response.content().data(), 1, response.content().size(), stdout);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    uaio::Engine engine;
    uaio::Endpoint endpoint = uaio::Endpoint::loopback(0);
    if (argc > 2) {
        if (uaio::Endpoint::parse(argv[1], endpoint)) {
            std::fprintf(stderr, "not an address and a port: %s\n", argv[1]);
            return 2;
        }
        std::string content;
        if (argc > 4) {
            std::ifstream file(argv[4], std::ios::binary);
            content.assign(std::istreambuf_iterator<char>(file), {});
        }
        return ask(engine, endpoint, argv[2], argc > 3 ? std::atoi(argv[3]) : 1, content);
    }
    uaio::http::Server server(engine);
    server.handle("GET", "/hello",
                  [](uaio::http::Exchange& exchange) { exchange.respond("hi\n"); });
    server.listen([&](uaio::Engine& on) {
        auto listener = std::make_unique<uaio::tcp::Listener>(on, endpoint);
        endpoint = listener->local_endpoint();
        return listener;
    });
    return ask(engine, endpoint, "/hello", 3, {});
}
