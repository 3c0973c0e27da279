// The echo server of echo_server.cc with coroutines, and its client: a task for the listener, one
// for each connection, and one stop token that ends them all.
#include <uaio/await.h>
#include <uaio/engine_group.h>
#include <uaio/tcp.h>

#include <cstdio>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

using namespace std::chrono_literals;

namespace {

// A spawned task takes its parameters by value, so that they live as long as it does.
uaio::Task<> serve_connection(uaio::StreamPtr stream) {
    char buffer[16384];
    for (;;) {
        const auto [error, count] = co_await uaio::read(*stream, buffer, {.timeout = 30s});
        if (error) co_return;  // the end of the stream, or an error
        const auto written = co_await uaio::write_all(*stream, std::span(buffer).first(count));
        if (written.error) co_return;
    }
}

// Ends, with all tasks that it spawns, when `stop` is requested or the engine is destroyed.
uaio::Task<> serve(std::unique_ptr<uaio::Acceptor> acceptor, std::stop_token stop) {
    uaio::Engine& engine = co_await uaio::this_engine();
    for (;;) {
        uaio::StreamPtr stream;
        const std::error_code error = co_await uaio::accept(*acceptor, stream);
        if (error == uaio::Errc::canceled || error == uaio::Errc::closed) co_return;
        if (error) {
            std::fprintf(stderr, "accept: %s\n", uaio::strerror(error).c_str());
            co_await uaio::delay(100ms);  // for instance out of descriptors: some may be closed
            continue;
        }
        uaio::spawn(engine, serve_connection(std::move(stream)), stop);
    }
}

uaio::Task<std::string> exchange(uaio::Endpoint server, std::string line) {
    uaio::StreamPtr stream;
    const uaio::tcp::ConnectOptions options;
    const std::error_code failed = co_await uaio::connect(server, options, stream, {.timeout = 5s});
    if (failed) throw std::system_error(failed);
    const auto sent = co_await uaio::write_all(*stream, line);
    if (sent.error) throw std::system_error(sent.error);
    std::string answer(line.size(), '\0');
    const auto [error, count] = co_await uaio::read_all(*stream, answer, {.timeout = 5s});
    if (error) throw std::system_error(error);
    co_return answer;
}

// A task awaits another like a call: it receives its value or its exception.
uaio::Task<bool> try_out(uaio::Endpoint server) {
    for (const char* line : {"hello\n", "still there?\n"}) {
        const std::string answer = co_await exchange(server, line);
        std::printf("%s", answer.c_str());
        if (answer != line) co_return false;
    }
    co_return true;
}

}  // namespace

int main() try {
    uaio::EngineThread io;
    auto listener = std::make_unique<uaio::tcp::Listener>(io.engine(), uaio::Endpoint::loopback(0));
    const uaio::Endpoint endpoint = listener->local_endpoint();
    std::stop_source stop;
    const std::stop_token token = stop.get_token();
    uaio::spawn(io.engine(), serve(std::move(listener), token), token);
    const bool ok = uaio::sync_wait(io.engine(), try_out(endpoint));
    stop.request_stop();
    return ok ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
