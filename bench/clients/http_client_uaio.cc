// http::Client: each transaction begins the next in its callback, on a connection that is kept.
#include <uaio/engine.h>
#include <uaio/http_client.h>
#include <uaio/tcp.h>

#include "bench/clients/command.h"

#include <memory>
#include <system_error>
#include <vector>

namespace {

using namespace uaio;
using Clock = std::chrono::steady_clock;

class Client {
public:
    Client(std::uint16_t port, std::size_t connections)
        : connector_(Endpoint::loopback(port)), client_(connector_, {.connections = connections}) {
        for (std::size_t i = 0; i < connections; ++i)
            exchanges_.push_back(std::make_unique<Exchange>(*this));
    }

    std::uint64_t run(Clock::time_point until) {
        until_ = until;
        responses_ = 0;
        for (const std::unique_ptr<Exchange>& exchange : exchanges_)
            begin(*exchange);
        while (active_ > 0)
            engine_.run_once(std::chrono::seconds(10));
        if (error_) throw std::system_error(error_, "transact");
        return responses_;
    }

private:
    struct Exchange {
        explicit Exchange(Client& client)
            : aio(client.engine_, [this, &client](Aio&) { client.on_response(*this); }) {
            if (request.set_target("/fixed") || request.headers().set("Host", "localhost")) {
                throw std::runtime_error("an invalid request");
            }
        }
        http::Request request;
        http::Response response;
        Aio aio;
    };

    void begin(Exchange& exchange) {
        ++active_;
        client_.transact(exchange.request, exchange.response, exchange.aio);
    }

    void on_response(Exchange& exchange) {
        --active_;
        ++responses_;
        if (exchange.aio.result()) error_ = exchange.aio.result();
        if (!error_ && Clock::now() < until_) begin(exchange);
    }

    Clock::time_point until_;
    std::uint64_t responses_ = 0;
    std::size_t active_ = 0;
    std::error_code error_;
    Engine engine_;
    tcp::Connector connector_;
    http::Client client_;
    std::vector<std::unique_ptr<Exchange>> exchanges_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    Client client(static_cast<std::uint16_t>(std::stoul(argv[1])), std::stoull(argv[2]));
    uaio::bench::serve_commands([&](Clock::time_point until) { return client.run(until); });
}
