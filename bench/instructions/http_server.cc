#include "bench/instructions/http_server.h"

#include <uaio/tcp.h>

#include <utility>

namespace uaio::bench {

CountingServer::CountingServer(Control& control, std::uint64_t batch, std::uint64_t count)
    : control_(control), batch_(batch), count_(count) {}

http::Route& CountingServer::handle(std::string_view path, http::Handler handler) {
    return server_.handle("GET", path,
                          [this, handler = std::move(handler)](http::Exchange& exchange) {
                              handler(exchange);
                              on_request();
                          });
}

void CountingServer::run(const std::function<AcceptorFactory(AcceptorFactory)>& wrap) {
    const tcp::Acceptors acceptors = tcp::acceptor(Endpoint::loopback(0));
    server_.listen(wrap ? wrap(acceptors) : AcceptorFactory(acceptors));
    control_.send_port(acceptors.local_endpoint().port());
    control_.wait();
    engine_.run();
}

void CountingServer::on_request() {
    if (++requests_ % batch_ == 0) submit_nop(engine_, turn_);
}

// The kernel has taken every response of the batch when the server has counted them.
void CountingServer::on_turn() {
    if (server_.requests() < requests_) {
        submit_nop(engine_, turn_);
    } else if (requests_ == count_) {
        engine_.stop();
    } else {
        control_.ask_and_wait();
    }
}

}  // namespace uaio::bench
