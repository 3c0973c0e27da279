// Tls over sockets where the kernel encrypts sent data, and the peer's OpenSSL decrypts it. On a
// kernel without TLS the cases are skipped; `./dev test --kernel-tls` runs them on one that has it.
#include <uaio/tcp.h>

#include "tests/support/tls/ends.h"
#include "tests/support/tls/openssl_access.h"
#include "transport/stream/try_io.h"

#include <sys/socket.h>

#include <fstream>
#include <optional>
#include <vector>

namespace uaio::tls_offload_test {

using namespace std::chrono_literals;
using tls::Version;

bool kernel_has_it() {
    const tls::Offload kernel = tls::offload();
    if (!kernel.available) report_skip(std::string(kernel.reason).c_str());
    return kernel.available;
}

// Sockets whose sent bytes the kernel has encrypted so far, on the whole machine.
long encrypting_sockets() {
    std::ifstream file("/proc/net/tls_stat");
    std::string name;
    long value = 0;
    while (file >> name >> value)
        if (name == "TlsTxSw") return value;
    return 0;
}

tls::ContextOptions with_offload(tls::ContextOptions options, bool on = true) {
    options.offload = on;
    return options;
}

struct Setup {
    bool client_offloads = true;
    bool server_offloads = true;
    Version version = Version::tls_1_3;
    std::string ciphers = {};        // of TLS 1.2
    std::string cipher_suites = {};  // of TLS 1.3
    std::uint64_t records_per_key = std::uint64_t{1} << 23;
    StreamOptions stream = {};
};

tls::ContextOptions options_of(const Setup& setup, bool client) {
    tls::ContextOptions options =
        client ? client_options(setup.version) : server_options(setup.version);
    options.offload = client ? setup.client_offloads : setup.server_offloads;
    options.ciphers = setup.ciphers;
    options.cipher_suites = setup.cipher_suites;
    options.records_per_key = setup.records_per_key;
    return options;
}

// Both ends of a connection on loopback.
class Sockets {
public:
    explicit Sockets(KernelKind kind, const Setup& setup = {})
        : Sockets(kind, tls::Context(options_of(setup, true)),
                  tls::Context(options_of(setup, false)), setup.stream) {}
    Sockets(KernelKind kind, const tls::Context& client_context, const tls::Context& server_context,
            const StreamOptions& stream = {})
        : engine_(options_on(kind)), held_(server_context) {
        auto below = std::make_unique<tcp::Listener>(engine_, Endpoint::loopback(0),
                                                     tcp::ListenOptions{.stream = stream});
        tcp::ConnectOptions connecting;
        connecting.stream = stream;
        tcp::Connector plain(below->local_endpoint(), connecting);
        tls::Listener listener(engine_, std::move(below), server_context);
        tls::Connector connector(plain, client_context, to_localhost());
        Operation connect(engine_);
        Operation accept(engine_);
        listener.accept(accept.aio, server_);
        connector.connect(connect.aio, client_);
        REQUIRE(run_until([&] { return connect.done() && accept.done(); }));
        REQUIRE(connect.ended() == success(0));
        REQUIRE(accept.ended() == success(0));
    }

    Engine& engine() { return engine_; }
    Stream& client() { return *client_; }
    Stream& server() { return *server_; }
    StreamPtr& client_handle() { return client_; }
    bool run_until(const std::function<bool()>& done) { return uaio::run_until(engine_, done); }

    Ended write_all(Stream& stream, std::string_view bytes) {
        Operation write(engine_, bytes);
        stream.write_all(write.aio);
        REQUIRE(run_until([&] { return write.done(); }));
        return write.ended();
    }
    Ended read(Stream& stream, std::string& into) {
        Operation read(engine_, into);
        stream.read(read.aio);
        REQUIRE(run_until([&] { return read.done(); }));
        return read.ended();
    }
    // The same bytes both ways at once.
    void carry(const std::string& out) {
        std::string there(out.size(), '\0');
        std::string back(out.size(), '\0');
        Operation write(engine_, out);
        Operation answer(engine_, out);
        Operation read(engine_, there);
        Operation read_back(engine_, back);
        client_->write_all(write.aio);
        server_->write_all(answer.aio);
        server_->read_all(read.aio);
        client_->read_all(read_back.aio);
        REQUIRE(run_until(
            [&] { return write.done() && answer.done() && read.done() && read_back.done(); }));
        CHECK(write.ended() == success(out.size()));
        CHECK(answer.ended() == success(out.size()));
        CHECK(read.ended() == success(out.size()));
        CHECK(read_back.ended() == success(out.size()));
        CHECK(there == out);
        CHECK(back == out);
    }
    // All bytes of the stream until its end, or an error.
    std::string read_to_end(Stream& stream, std::error_code& end) {
        std::string all;
        std::string part(100'000, '\0');
        for (;;) {
            const Ended ended = read(stream, part);
            all.append(part, 0, ended.count);
            end = ended.error;
            if (end) return all;
        }
    }

private:
    Engine engine_;
    tls::Context held_;
    StreamPtr client_;
    StreamPtr server_;
};

struct Agreement {
    Version version;
    const char* cipher;
};
constexpr Agreement kAgreements[] = {
    {Version::tls_1_3, "TLS_AES_128_GCM_SHA256"},
    {Version::tls_1_3, "TLS_AES_256_GCM_SHA384"},
    {Version::tls_1_3, "TLS_CHACHA20_POLY1305_SHA256"},
    {Version::tls_1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {Version::tls_1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {Version::tls_1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

Setup setup_of(const Agreement& agreement) {
    Setup setup;
    setup.version = agreement.version;
    const bool newer = agreement.version == Version::tls_1_3;
    (newer ? setup.cipher_suites : setup.ciphers) = agreement.cipher;
    return setup;
}

TEST_CASE_TEMPLATE("kTLS: bytes arrive with every version and cipher", Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    for (const Agreement& agreement : kAgreements) {
        for (const unsigned who : {1u, 2u, 3u}) {
            CAPTURE(agreement.cipher);
            CAPTURE(who);
            Setup setup = setup_of(agreement);
            setup.client_offloads = (who & 1) != 0;
            setup.server_offloads = (who & 2) != 0;
            const long before = encrypting_sockets();
            Sockets ends(Kernel::kKind, setup);
            for (const std::size_t size : {1, 300'000, 16'384, 16'385})
                ends.carry(pattern(size));
            const tls::Details client = tls::details(ends.client());
            const tls::Details server = tls::details(ends.server());
            CHECK(client.cipher == agreement.cipher);
            CHECK(client.offloaded == setup.client_offloads);
            CHECK(server.offloaded == setup.server_offloads);
            CHECK(client.offload_reason.empty() == setup.client_offloads);
            CHECK(server.offload_reason.empty() == setup.server_offloads);
            CHECK(encrypting_sockets() - before == (who == 3 ? 2 : 1));
        }
    }
}

TEST_CASE(
    "kTLS: OpenSSL encrypts with a cipher that the kernel lacks, and the reason is reported") {
    if (!kernel_has_it()) return;
    Setup setup;
    setup.version = Version::tls_1_2;
    setup.ciphers = "ECDHE-ECDSA-AES128-SHA256";
    Sockets ends(OnLinux::kKind, setup);
    ends.carry(pattern(100'000));
    const tls::Details details = tls::details(ends.client());
    CHECK(!details.offloaded);
    CHECK(details.offload_reason.find("cipher") != std::string::npos);
}

TEST_CASE("kTLS: OpenSSL encrypts over a stream that is not a socket, and the reason is reported") {
    for (const bool on : {false, true}) {
        TlsEnds ends(tls::Context(with_offload(client_options(), on)),
                     tls::Context(with_offload(server_options(), on)));
        ends.joined();
        CHECK(ends.write_all(ends.client(), "data") == success(4));
        std::string in(4, '\0');
        CHECK(ends.read_all(ends.server(), in) == success(4));
        const tls::Details details = tls::details(ends.client());
        CHECK(!details.offloaded);
        const std::string why = !on                         ? "ContextOptions::offload is off"
                                : !tls::offload().available ? std::string(tls::offload().reason)
                                                            : "the stream below is not a socket";
        CHECK(details.offload_reason.find(why) == 0);
    }
}

TEST_CASE_TEMPLATE("kTLS: the kernel encrypts a long iovec list in order", Kernel, OnLinux,
                   OnPoll) {
    if (!kernel_has_it()) return;
    Sockets ends(Kernel::kKind);
    const std::string out = pattern(200'000);
    std::vector<iovec> entries;
    for (std::size_t at = 0; at < out.size();) {
        const std::size_t size = std::min<std::size_t>(1 + entries.size() * 3, out.size() - at);
        entries.push_back({const_cast<char*>(out.data() + at), size});
        at += size;
    }
    Operation write(ends.engine());
    REQUIRE(!write.aio.set_iov(entries));
    std::string in(out.size(), '\0');
    Operation read(ends.engine(), in);
    ends.client().write_all(write.aio);
    ends.server().read_all(read.aio);
    REQUIRE(ends.run_until([&] { return write.done() && read.done(); }));
    CHECK(write.ended() == success(out.size()));
    CHECK(in == out);
    CHECK(tls::details(ends.client()).offloaded);
}

TEST_CASE_TEMPLATE("kTLS: a stream with zero-copy sends is encrypted by the kernel", Kernel,
                   OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    Setup setup;
    setup.stream.zero_copy = ZeroCopy::on;
    Sockets ends(Kernel::kKind, setup);
    for (const std::size_t size : {1, 300'000})
        ends.carry(pattern(size));
    CHECK(tls::details(ends.client()).offloaded);
    CHECK(tls::details(ends.server()).offloaded);
    // A part of it, and the rest.
    const std::string out = pattern(40'000);
    Operation write(ends.engine(), out);
    ends.client().write(write.aio);
    REQUIRE(ends.run_until([&] { return write.done(); }));
    CHECK(!write.ended().error);
    std::string in(write.ended().count, '\0');
    Operation read(ends.engine(), in);
    ends.server().read_all(read.aio);
    REQUIRE(ends.run_until([&] { return read.done(); }));
    CHECK(in == out.substr(0, in.size()));
}

// Far more than the sockets hold.
constexpr std::size_t kMuch = std::size_t{24} << 20;

TEST_CASE_TEMPLATE("kTLS: an interrupted write counts the bytes that the peer decrypts", Kernel,
                   OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    const std::string out = pattern(kMuch);
    for (const int room : {0, 1, 5'000, 10'000, 20'000, 30'000, 60'000, 99'000, 200'000, 0}) {
        CAPTURE(room);
        const bool expires = room % 1000 == 1;
        Setup setup;
        setup.version = expires ? Version::tls_1_2 : Version::tls_1_3;
        setup.stream.send_buffer = room / 1000 * 1000;
        Sockets ends(Kernel::kKind, setup);
        Operation write(ends.engine(), out);
        Operation queued(ends.engine(), "queued");
        if (expires) write.aio.set_timeout(300ms);
        ends.client().write_all(write.aio);
        ends.client().write_all(queued.aio);
        for (int turn = 0; turn < 20; ++turn)
            run_some(ends.engine());
        if (!expires) write.aio.cancel();
        REQUIRE(ends.run_until([&] { return write.done() && queued.done(); }));
        CHECK(write.ended().error == (expires ? Errc::timed_out : Errc::canceled));
        CHECK(write.ended().count > 0);
        CHECK(write.ended().count < out.size());
        CHECK(queued.ended() == failure(Errc::closed));
        std::error_code end;
        const std::string in = ends.read_to_end(ends.server(), end);
        CHECK(end == TlsErrc::internal_error);
        CHECK(in.size() == write.ended().count);
        CHECK(out.starts_with(in));
    }
}

TEST_CASE_TEMPLATE(
    "kTLS: a write cancelled before its first byte sends nothing and keeps the stream open", Kernel,
    OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    Sockets ends(Kernel::kKind);
    const std::string out = pattern(kMuch);
    Operation write(ends.engine(), out);
    Operation queued(ends.engine(), "queued");
    Operation last(ends.engine(), "last");
    ends.client().write_all(write.aio);
    ends.client().write_all(queued.aio);
    ends.client().write_all(last.aio);
    run_some(ends.engine());
    queued.aio.cancel();
    REQUIRE(ends.run_until([&] { return queued.done(); }));
    CHECK(queued.ended() == failure(Errc::canceled));
    std::string in(out.size() + 4, '\0');
    Operation read(ends.engine(), in);
    ends.server().read_all(read.aio);
    REQUIRE(ends.run_until([&] { return write.done() && last.done() && read.done(); }));
    CHECK(in == out + "last");
    CHECK(write.ended() == success(out.size()));
    CHECK(last.ended() == success(4));
}

TEST_CASE_TEMPLATE("kTLS: close sends close_notify", Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        Setup setup;
        setup.version = version;
        Sockets ends(Kernel::kKind, setup);
        const std::string out = pattern(100'000);
        CHECK(ends.write_all(ends.client(), out) == success(out.size()));
        CHECK(tls::details(ends.client()).offloaded);
        ends.client_handle().reset();
        std::error_code end;
        CHECK(ends.read_to_end(ends.server(), end) == out);
        CHECK(end == Errc::end_of_stream);
    }
}

TEST_CASE_TEMPLATE("kTLS: close sends close_notify behind a full socket if the peer reads in time",
                   Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    Sockets ends(Kernel::kKind);
    TryIo* const below = try_io_of(ends.client());
    const std::string out = pattern(kMuch);
    const auto bytes = std::as_bytes(std::span(out));
    std::size_t sent = 0;
    for (;;) {
        const Transferred step = below->try_write(bytes.subspan(sent));
        if (step.error) {
            CHECK(step.error == Errc::operation_would_block);
            break;
        }
        sent += step.count;
        REQUIRE(sent < out.size());
    }
    CHECK(sent > 0);
    CHECK(tls::details(ends.client()).offloaded);
    ends.client_handle().reset();
    run_some(ends.engine());
    std::error_code end;
    CHECK(ends.read_to_end(ends.server(), end) == out.substr(0, sent));
    CHECK(end == Errc::end_of_stream);
}

TEST_CASE_TEMPLATE("kTLS: wait_for ends when an attempt can write again", Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    Setup setup;
    setup.stream.send_buffer = 50'000;
    Sockets ends(Kernel::kKind, setup);
    TryIo* const attempts = try_io_of(ends.client());
    const std::string out = pattern(2'000'000);
    const auto bytes = std::as_bytes(std::span(out));
    std::string in(out.size(), '\0');
    Operation read(ends.engine(), in);
    ends.server().read_all(read.aio);
    std::size_t sent = 0;
    unsigned waits = 0;
    while (sent < out.size()) {
        const Transferred step = attempts->try_write(bytes.subspan(sent));
        sent += step.count;
        if (!step.error) continue;
        REQUIRE(step.error == Errc::operation_would_block);
        Operation wait(ends.engine());
        attempts->wait_for(Direction::send, wait.aio);
        REQUIRE(ends.run_until([&] { return wait.done(); }));
        REQUIRE(wait.ended() == success(0));
        ++waits;
    }
    REQUIRE(ends.run_until([&] { return read.done(); }));
    CHECK(in == out);
    CHECK(waits > 0);
    CHECK(waits < 20'000);
    CHECK(tls::details(ends.client()).offloaded);
}

TEST_CASE_TEMPLATE("kTLS: a KeyUpdate that the kernel cannot apply ends the stream on both sides",
                   Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    Setup setup;
    setup.server_offloads = false;
    Sockets ends(Kernel::kKind, setup);
    ends.carry(pattern(1000));
    // OpenSSL alone handles its own new key.
    REQUIRE(update_key(ends.server(), KeyUpdate::own));
    ends.carry(pattern(1000));
    REQUIRE(update_key(ends.server(), KeyUpdate::both));
    CHECK(ends.write_all(ends.server(), "asked") == success(5));
    std::string in(5, '\0');
    // The five bytes may arrive before the failure, or not at all.
    while (!ends.read(ends.client(), in).error)
        continue;
    CHECK(ends.read(ends.client(), in) == failure(TlsErrc::key_used_up));
    CHECK(ends.write_all(ends.client(), "more") == failure(TlsErrc::key_used_up));
    CHECK(ends.read(ends.server(), in) == failure(TlsErrc::internal_error));
}

TEST_CASE_TEMPLATE("kTLS: a write at the key's limit of records ends with key_used_up", Kernel,
                   OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        Setup setup;
        setup.version = version;
        setup.server_offloads = false;
        setup.records_per_key = 20;
        Sockets ends(Kernel::kKind, setup);
        std::size_t sent = 0;
        std::error_code error;
        const std::string out = pattern(20'000);  // two records
        while (!error && sent < 15 * out.size()) {
            const Ended ended = ends.write_all(ends.client(), out);
            sent += ended.count;
            error = ended.error;
        }
        if (version == Version::tls_1_2) {  // without a key update
            CHECK(!error);
            continue;
        }
        CHECK(error == TlsErrc::key_used_up);
        CHECK(sent == 10 * out.size());
        std::error_code end;
        CHECK(ends.read_to_end(ends.server(), end).size() == sent);
        CHECK(end == TlsErrc::internal_error);
    }
}

TEST_CASE_TEMPLATE("kTLS: a failure sends the alert through the kernel", Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        Setup setup;
        setup.version = version;
        setup.server_offloads = false;
        Sockets ends(Kernel::kKind, setup);
        ends.carry(pattern(1000));
        // Bypasses the server's stream.
        const std::string bad = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
        REQUIRE(::send(ends.server().native_handle(), bad.data(), bad.size(), MSG_NOSIGNAL) == 37);
        std::string in(10, '\0');
        CHECK(ends.read(ends.client(), in) == failure(TlsErrc::bad_record));
        CHECK(ends.write_all(ends.client(), "more") == failure(TlsErrc::bad_record));
        CHECK(ends.read(ends.server(), in) == failure(TlsErrc::bad_record));
    }
}

TEST_CASE_TEMPLATE("kTLS: a session is resumed", Kernel, OnLinux, OnPoll) {
    if (!kernel_has_it()) return;
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        Setup setup;
        setup.version = version;
        const tls::Context client(options_of(setup, true));
        const tls::Context server(options_of(setup, false));
        for (int round = 0; round < 3; ++round) {
            Sockets ends(Kernel::kKind, client, server);
            ends.carry(pattern(50'000));
            CHECK(tls::details(ends.client()).resumed == (round > 0));
            CHECK(tls::details(ends.client()).offloaded);
            CHECK(tls::details(ends.server()).offloaded);
        }
    }
}

}  // namespace uaio::tls_offload_test
