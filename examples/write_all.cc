// The first program: a server that writes one response, from three buffers, with one write_all. A
// client on another thread plays the peer, so that the program ends.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;

namespace {

// Connects and reads until the server closes. Any HTTP client works: curl http://127.0.0.1:PORT
std::string fetch(uaio::Engine& engine, const uaio::Endpoint& server) {
    uaio::StreamPtr stream;
    uaio::Aio aio(engine);
    uaio::tcp::connect(server, {}, aio, stream);
    if (aio.wait()) return {};
    std::string answer;
    char buffer[4096];
    aio.set_iov(buffer, sizeof buffer);
    for (;;) {
        stream->read(aio);
        if (aio.wait()) return answer;  // end_of_stream
        answer.append(buffer, aio.count());
    }
}

}  // namespace

int main() {
    constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n";
    constexpr std::string_view kMiddle = "the whole file, or an error\n";
    constexpr std::string_view kTail = "...";

    uaio::EngineThread io;
    uaio::tcp::Listener listener(io.engine(), uaio::Endpoint::loopback(0));
    std::string answer;
    std::jthread client([&] { answer = fetch(io.engine(), listener.local_endpoint()); });

    uaio::StreamPtr peer;
    uaio::Aio accepted(io.engine());
    listener.accept(accepted, peer);
    if (accepted.wait()) return 1;
    uaio::http::Connection connection(std::move(peer));
    iovec buffers[] = {{const_cast<char*>(kHead.data()), kHead.size()},
                       {const_cast<char*>(kMiddle.data()), kMiddle.size()},
                       {const_cast<char*>(kTail.data()), kTail.size()}};
    uaio::Aio aio(io.engine(), [](uaio::Aio& done) {
        std::printf("%s, %zu bytes\n", uaio::strerror(done.result()).c_str(), done.count());
    });
    if (aio.set_iov(buffers)) return 1;
    aio.set_timeout(5s);
    // Returns at once; completes with all bytes, or an error and the exact count.
    connection.write_all(aio);
    const bool failed = static_cast<bool>(aio.wait());

    connection.close();  // the client sees the end
    client.join();
    return !failed && answer.size() == aio.count() ? 0 : 1;
}
