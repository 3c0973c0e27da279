// http::Client over a Dialer, through the abstract Connector.
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/proxy_scene.h"
#include "tests/support/server_fixture.h"

#include <doctest/doctest.h>

namespace uaio::dialer_client_test {

const std::string kConnect =
    "CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\nProxy-Connection: "
    "Keep-Alive\r\n\r\n";
const std::string kGet = "GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n";
const std::string kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

http::Request get_request(const std::string& origin = "http://origin.test") {
    http::Request request;
    REQUIRE(!request.set_url(origin + "/"));
    return request;
}

TEST_CASE("an HTTP client connects through a proxy and reuses the tunnel") {
    ProxyScene scene;
    using Line = ProxyScript::Line;
    scene.serve(1080, ProxyScript{{Line{kConnect, "HTTP/1.1 200 OK\r\n\r\n"}, Line{kGet, kResponse},
                                   Line{kGet, kResponse}}});
    Dialer dialer("http://origin.test", quiet_options("http://proxy.test"));
    http::Client client(dialer);
    for (int i = 0; i < 2; ++i) {
        http::Request request = get_request();
        http::Response response;
        Operation transact(scene.engine);
        client.transact(request, response, transact.aio);
        static_cast<void>(transact.aio.wait());
        CHECK(transact.ended() == success(5));
        CHECK(response.content() == "hello");
    }
    CHECK(client.statistics().connections == 1);
    CHECK(client.statistics().reuses == 1);
}

TEST_CASE("an HTTP client reports the error of its dialer") {
    ProxyScene scene;
    scene.serve(1080, ProxyScript{{{kConnect, "HTTP/1.1 403 No\r\n\r\n"}}});
    Dialer dialer("http://origin.test", quiet_options("http://proxy.test"));
    http::Client client(dialer);
    http::Request request = get_request();
    http::Response response;
    Operation transact(scene.engine);
    client.transact(request, response, transact.aio);
    static_cast<void>(transact.aio.wait());
    CHECK(transact.ended() == failure(Errc::proxy_refused));
}

TEST_CASE_TEMPLATE("an HTTP client connects to its server by name and by any of its addresses",
                   Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/",
                            [](http::Exchange& exchange) { exchange.respond("hello"); });
    fixture.listen();
    const std::string port = std::to_string(fixture.endpoint().port());
    DialOptions options = quiet_options();
    options.resolve = {"origin.test:" + port + ":::1,127.0.0.2,127.0.0.1"};
    Dialer dialer("http://origin.test:" + port, options);
    http::Client client(dialer);
    http::Request request = get_request("http://origin.test:" + port);
    http::Response response;
    Operation transact(fixture.engine());
    client.transact(request, response, transact.aio);
    REQUIRE(fixture.run_until([&] { return transact.done(); }));
    CHECK(transact.ended() == success(5));
    CHECK(response.content() == "hello");
}

}  // namespace uaio::dialer_client_test
