// An HTTP server with a fixed response, an echo of collected content, and a streamed response that
// is generated while it is sent.
//
//   http_server PORT    prints its URL, serves until it is killed; try its /count with curl
//   http_server         sends itself one request and ends
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

// Counts to a thousand, one line in each chunk. Never holds more than a line.
class Counter {
public:
    explicit Counter(uaio::http::Exchange& exchange)
        : exchange_(exchange), aio_(exchange.engine(), [this](uaio::Aio&) { next(); }) {
        exchange_.begin(aio_);
    }

private:
    void next() {
        if (aio_.result() || ended_) {
            ended_ && !aio_.result() ? exchange_.end() : exchange_.abort();
            delete this;
            return;
        }
        if (number_ == 1000) {
            ended_ = true;
            exchange_.writer().finish(aio_);
            return;
        }
        line_ = std::to_string(++number_) + "\n";
        aio_.set_iov(line_.data(), line_.size());
        exchange_.writer().write(aio_);
    }

    uaio::http::Exchange& exchange_;
    std::string line_;
    int number_ = 0;
    bool ended_ = false;
    uaio::Aio aio_;
};

// Sends a request and reads the response, as a client does.
int ask(uaio::Engine& engine, const uaio::Endpoint& endpoint) {
    uaio::Aio aio(engine);
    uaio::StreamPtr stream;
    uaio::tcp::connect(endpoint, {}, aio, stream);
    if (aio.wait()) return 1;
    uaio::http::Connection connection(std::move(stream));
    uaio::http::Request request("http://" + endpoint.to_string() + "/count");
    connection.write_request(request, aio);
    if (aio.wait()) return 1;
    uaio::http::Response response;
    connection.read_response(response, aio);
    if (aio.wait()) return 1;
    std::size_t bytes = 0;
    char buffer[512];
    aio.set_iov(buffer, sizeof buffer);
    do {
        connection.read_content().read(aio);
        if (!aio.wait()) bytes += aio.count();
    } while (!aio.result());
    std::printf("%d, %zu bytes, %s\n", response.status(), bytes,
                uaio::strerror(aio.result()).c_str());
    return aio.result() == uaio::Errc::end_of_stream && bytes == 3893 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    uaio::Engine engine;
    uaio::http::Server server(engine);
    server.handle("GET", "/", [](uaio::http::Exchange& exchange) { exchange.respond("hello\n"); });
    server.handle("POST", "/echo", [](uaio::http::Exchange& exchange) {
        exchange.respond(exchange.request().content(), "application/octet-stream");
    });
    server.handle("GET", "/count", [](uaio::http::Exchange& exchange) { new Counter(exchange); });
    const int port = argc > 1 ? std::atoi(argv[1]) : 0;
    uaio::Endpoint endpoint = uaio::Endpoint::loopback(static_cast<std::uint16_t>(port));
    server.listen([&](uaio::Engine& on) {
        auto listener = std::make_unique<uaio::tcp::Listener>(on, endpoint);
        endpoint = listener->local_endpoint();
        return listener;
    });
    if (argc < 2) return ask(engine, endpoint);
    std::printf("http://%s/\n", endpoint.to_string().c_str());
    std::fflush(stdout);
    engine.run();
}
