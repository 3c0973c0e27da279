// A stream of the program's own that reports more bytes than it was given buffers for. The
// connection stops the program, since its counts would no longer match its memory, or the bytes of
// one message would be taken for those of the next.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/sim.h>

#include "tests/support/child_process.h"

#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::http_overrun_test {

// Delivers `head` to the first read, and takes the first write. Later operations report a byte more
// than their buffers hold.
class BoastfulStream final : public Stream {
public:
    BoastfulStream(Engine& engine, std::string_view head) : engine_(engine), head_(head) {}

    void read(Aio& aio) override { Provider::submit(engine_, aio, &start_read, this); }
    void read_all(Aio& aio) override { read(aio); }
    void write(Aio& aio) override { Provider::submit(engine_, aio, &start_write, this); }
    void write_all(Aio& aio) override { write(aio); }
    void close() noexcept override {}
    int native_handle() const noexcept override { return -1; }

private:
    static BoastfulStream& of(Aio& aio) noexcept {
        return *static_cast<BoastfulStream*>(Provider::owner(aio));
    }
    static void finish(Aio& aio, std::size_t more) noexcept {
        Provider::add_count(aio, Provider::cursor(aio).remaining() + more);
        Provider::finish(aio);
    }
    static void start_read(Aio& aio) noexcept {
        BoastfulStream& self = of(aio);
        if (self.head_.empty()) return finish(aio, 1);
        const std::string_view head = std::exchange(self.head_, {});
        std::memcpy(Provider::cursor(aio).rest().front().iov_base, head.data(), head.size());
        Provider::advance(aio, head.size());
        Provider::finish(aio);
    }
    static void start_write(Aio& aio) noexcept {
        finish(aio, std::exchange(of(aio).written_, true) ? 1 : 0);
    }

    Engine& engine_;
    std::string_view head_;
    bool written_ = false;
};

// Runs `use` over such a stream, and the engine until an assertion ends it.
ChildEnd run_over(std::string_view head, const std::function<void(http::Connection&, Aio&)>& use) {
    return run_in_child([&]() -> std::string {
        SimKernel kernel(1);
        Engine engine(kernel);
        http::Connection connection(std::make_unique<BoastfulStream>(engine, head));
        Aio aio(engine);
        use(connection, aio);
        static_cast<void>(aio.wait());
        return "the connection accepted the count";
    });
}

bool stopped_with(const ChildEnd& end, std::string_view reason) {
    return end.signal == SIGABRT && end.output.find(reason) != std::string::npos;
}

TEST_CASE("a stream that reads more bytes than there is room for stops the program") {
    http::Request request;
    CHECK(stopped_with(run_over("", [&](http::Connection& connection,
                                        Aio& aio) { connection.read_request(request, aio); }),
                       "a stream read more bytes than there was room for"));
}

TEST_CASE("a stream that reads more bytes than the content has left stops the program") {
    std::string content(4096, '\0');
    http::Request request;
    CHECK(stopped_with(run_over("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\n\r\n",
                                [&](http::Connection& connection, Aio& aio) {
                                    connection.read_request(request, aio);
                                    static_cast<void>(aio.wait());
                                    aio.set_iov(content.data(), content.size());
                                    connection.read_content().read_all(aio);
                                }),
                       "a stream read bytes behind the content that was asked for"));
}

TEST_CASE("a stream that writes more bytes than it was given stops the program") {
    http::Request request("http://h/");
    REQUIRE(!request.set_method("PUT"));
    REQUIRE(!request.headers().set("Transfer-Encoding", "chunked"));
    CHECK(stopped_with(run_over("",
                                [&](http::Connection& connection, Aio& aio) {
                                    connection.write_request(request, aio);
                                    static_cast<void>(aio.wait());
                                    aio.set_iov("hello", 5);
                                    connection.write_content().write(aio);
                                }),
                       "a stream wrote more bytes than it was given"));
}

}  // namespace uaio::http_overrun_test
