// A handler that takes the connection out of the server while the response to an earlier request is
// still being written.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/sim.h>

#include "tests/support/one_acceptor.h"
#include "tests/support/turns.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_hijack_test {

using http::Exchange;

constexpr std::string_view kTwo =
    "GET /first HTTP/1.1\r\nHost: h\r\n\r\nGET /second HTTP/1.1\r\nHost: h\r\n\r\n";

// Delivers kTwo to the first read, and holds all other operations.
class HoldingStream final : public Stream {
public:
    // The queue receives the writes, and must outlive the stream.
    HoldingStream(Engine& engine, AioQueue& writes) : engine_(engine), writes_(writes) {}
    ~HoldingStream() override { close(); }

    void read(Aio& aio) override { Provider::submit(engine_, aio, &start_read, this); }
    void read_all(Aio& aio) override { read(aio); }
    void write(Aio& aio) override { Provider::submit(engine_, aio, &start_write, this); }
    void write_all(Aio& aio) override { write(aio); }
    void close() noexcept override {
        for (AioQueue* queue : {&reads_, &writes_}) {
            while (Aio* const aio = queue->pop())
                Provider::finish(*aio, Errc::closed);
        }
    }
    int native_handle() const noexcept override { return -1; }

private:
    static HoldingStream& of(Aio& aio) noexcept {
        return *static_cast<HoldingStream*>(Provider::owner(aio));
    }
    template <AioQueue& (*kQueue)(HoldingStream&)>
    static void hold(Aio& aio) noexcept {
        kQueue(of(aio)).push(aio);
        Provider::park(aio, [](Aio& ended) noexcept {
            kQueue(of(ended)).remove(ended);
            Provider::finish(ended, Provider::cancel_reason(ended));
        });
    }
    static AioQueue& reads(HoldingStream& self) { return self.reads_; }
    static AioQueue& writes(HoldingStream& self) { return self.writes_; }

    static void start_read(Aio& aio) noexcept {
        if (std::exchange(of(aio).delivered_, true)) return hold<&reads>(aio);
        const iovec& room = Provider::cursor(aio).rest().front();
        CHECK(room.iov_len >= kTwo.size());
        std::memcpy(room.iov_base, kTwo.data(), kTwo.size());
        Provider::advance(aio, kTwo.size());
        Provider::finish(aio);
    }
    static void start_write(Aio& aio) noexcept { hold<&writes>(aio); }

    Engine& engine_;
    AioQueue reads_;
    AioQueue& writes_;
    bool delivered_ = false;
};

// The server cannot send another response in place of the failed one, as it does while it has the
// connection.
TEST_CASE("a response that fails after a hijack() is recorded, and not replaced") {
    SimKernel kernel(1);
    Engine engine(kernel);
    AioQueue writes;
    std::optional<http::Connection> taken;
    std::vector<std::string> records;
    http::ServerOptions options;
    options.access_log = [&](const http::AccessRecord& record) {
        CHECK(record.status == 0);
        records.push_back(std::string(record.target) + ": " + record.error.message());
    };
    http::Server server(engine, options);
    server.handle("GET", "/first", [](Exchange& exchange) { exchange.respond("hi"); });
    server.handle("GET", "/second", [&](Exchange& exchange) {
        REQUIRE(!writes.empty());
        taken.emplace(exchange.hijack());
        Provider::finish(*writes.pop(), Errc::not_enough_memory);
    });
    server.listen([&](Engine& on) {
        return std::make_unique<OneAcceptor>(on, std::make_unique<HoldingStream>(on, writes));
    });
    REQUIRE(run_until(engine, [&] { return server.connections() == 0 && !records.empty(); }));
    CHECK(records == std::vector{"/first: " + make_error_code(Errc::not_enough_memory).message()});
    CHECK(writes.empty());
    CHECK(taken.has_value());
}

}  // namespace uaio::http_hijack_test
