// Serves the same fixed response with libnng, on a port that the kernel picks, until it is killed.
#include <arpa/inet.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <nng/nng.h>
#include <nng/supplemental/http/http.h>

namespace {

void check(int error, const char* what) {
    if (error == 0) return;
    std::fprintf(stderr, "%s: %s\n", what, nng_strerror(error));
    std::exit(1);
}

constexpr char kContent[] = "hello, world\n";

}  // namespace

int main() {
    nng_url* url = nullptr;
    check(nng_url_parse(&url, "http://127.0.0.1:0"), "url");
    nng_http_server* server = nullptr;
    check(nng_http_server_hold(&server, url), "server");
    nng_http_handler* handler = nullptr;
    check(nng_http_handler_alloc_static(&handler, "/fixed", kContent, sizeof kContent - 1,
                                        "text/plain"),
          "handler");
    check(nng_http_server_add_handler(server, handler), "route");
    check(nng_http_server_start(server), "start");
    nng_sockaddr address;
    check(nng_http_server_get_addr(server, &address), "address");
    std::printf("%u\n", ntohs(address.s_in.sa_port));
    std::fflush(stdout);
    ::pause();
}
