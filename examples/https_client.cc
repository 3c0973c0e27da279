// Requests a target from an HTTPS server, and prints the negotiated parameters.
//
//   https_client ADDRESS:PORT NAME TARGET [AUTHORITIES [TIMES [CERTIFICATE KEY]]]
//   https_client                     connects to a server of its own, which has no TLS
//
// AUTHORITIES is a file in PEM, or - for the system's. Each of the TIMES is a new connection, so
// that sessions are resumed.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace {

struct Question {
    uaio::Endpoint endpoint = uaio::Endpoint::loopback(0);
    std::string name = "localhost";
    std::string target = "/";
    int times = 1;
    uaio::tls::ContextOptions options;
};

// One connection: the handshake, a request and the whole response.
std::error_code ask(uaio::Engine& engine, const uaio::tls::Context& context,
                    const Question& question, bool print) {
    uaio::tcp::Connector below(question.endpoint);
    uaio::tls::Connector connector(
        below, context,
        {.server_name = question.name, .session_key = std::to_string(question.endpoint.port())});
    uaio::Aio aio(engine);
    aio.set_timeout(std::chrono::seconds(30));
    uaio::http::Client client(connector);
    uaio::http::Request request("https://" + question.name);
    if (const auto error = request.set_target(question.target)) return error;
    uaio::http::Response response;
    client.transact(request, response, aio);
    if (const auto error = aio.wait()) return error;
    if (!print) return {};
    std::fprintf(stderr, "%d, %zu bytes\n", response.status(), aio.count());
    std::fwrite(response.content().data(), 1, response.content().size(), stdout);
    return {};
}

int ask(uaio::Engine& engine, const Question& question) {
    const uaio::tls::Context context(question.options);
    for (int i = 0; i < question.times; ++i) {
        if (const auto error = ask(engine, context, question, i + 1 == question.times)) {
            std::fprintf(stderr, "%s\n", uaio::strerror(error).c_str());
            return 1;
        }
    }
    std::fprintf(stderr, "%llu handshakes, %llu of them resumed\n",
                 static_cast<unsigned long long>(context.handshakes()),
                 static_cast<unsigned long long>(context.resumed()));
    return 0;
}

// Shows the error of TLS with a server that has none.
int ask_plain_server(uaio::Engine& engine) {
    Question question;
    uaio::http::Server server(engine);
    server.listen([&](uaio::Engine& on) {
        auto listener = std::make_unique<uaio::tcp::Listener>(on, question.endpoint);
        question.endpoint = listener->local_endpoint();
        return listener;
    });
    const std::error_code error =
        ask(engine, uaio::tls::Context(question.options), question, false);
    std::printf("%s\n", uaio::strerror(error).c_str());
    const auto expected = uaio::kTls ? make_error_code(uaio::TlsErrc::not_tls)
                                     : make_error_code(uaio::Errc::not_supported);
    return error == expected ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    uaio::Engine engine;
    if (argc < 4) return ask_plain_server(engine);
    Question question;
    if (uaio::Endpoint::parse(argv[1], question.endpoint)) {
        std::fprintf(stderr, "not an address and a port: %s\n", argv[1]);
        return 2;
    }
    question.name = argv[2];
    question.target = argv[3];
    if (argc > 4 && std::string_view(argv[4]) != "-") question.options.authorities = argv[4];
    if (argc > 5) question.times = std::atoi(argv[5]);
    if (argc > 7) question.options.certificates = {{.chain = argv[6], .key = argv[7]}};
    try {
        return ask(engine, question);
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
