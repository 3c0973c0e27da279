// uaio-demo: the library's main job with real programs. A server on loopback sends a real file to a
// real curl, its content with http::Connection::write_all out of scattered buffers; first to a slow
// reader, then to a fast one, and both must compute the same SHA-256. A third transfer is cancelled
// half-way, and its count() must equal the peer's received bytes. Exits with status 1 if a check
// fails. Needs curl, and head and sha256sum of coreutils.
#include <uaio/engine_group.h>
#include <uaio/tcp.h>

#include "tools/command_line.h"
#include "tools/demo_file.h"
#include "tools/demo_process.h"
#include "tools/demo_report.h"
#include "tools/demo_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace uaio::demo {
namespace {

constexpr std::size_t kFileSize = (std::size_t{256} << 20) + 54'321;  // no round number
constexpr std::size_t kSlowSize = (std::size_t{72} << 20) + 1'234;
constexpr const char* kSlowRate = "8M";  // per second: nine seconds for kSlowSize
constexpr std::size_t kWriteSize = std::size_t{4} << 20;
constexpr std::size_t kEntrySize = 32 * 1024;

void expect(bool holds, const std::string& otherwise) {
    if (!holds) throw std::runtime_error(otherwise);
}

void expect_equal(std::uint64_t is, std::uint64_t wanted, const std::string& what) {
    expect(is == wanted, what + ": " + grouped(is) + ", expected " + grouped(wanted));
}

class Demo {
public:
    Demo() : listener_(io_.engine(), Endpoint::loopback(0)), file_(kFileSize) {}

    void run() {
        const Engine& engine = io_.engine();
        std::printf("kernel: %s (%s)\n",
                    engine.kernel() == KernelKind::io_uring ? "io_uring" : "epoll and system calls",
                    std::string(engine.kernel_reason()).c_str());
        std::printf("file:   %s pseudo-random bytes\n", grouped(file_.bytes().size()).c_str());
        fetch("slow reader", kSlowSize, {"--limit-rate", kSlowRate});
        fetch("fast reader", kFileSize, {});
        cancel_half_way();
        std::printf(
            "\n%s%s\n%s\n%s", Costs::head().c_str(), rows_.c_str(), facts_.c_str(),
            "resubmitted: short writes whose rest was submitted again; a kernel with MSG_WAITALL\n"
            "for sends makes none. calls/op: system calls for each operation.\n");
    }

private:
    std::string url() const { return "http://" + listener_.local_endpoint().to_string() + "/file"; }

    // Fetches the first `size` bytes of the file with curl.
    void fetch(const std::string& what, std::size_t size, std::vector<std::string> options) {
        std::string wanted;
        {
            Progress progress("sha256sum of the file");
            wanted = sha256_of(file_, size, [&] { progress.show(0); });
        }
        Answer answer;
        answer.content = file_.bytes().first(size);
        answer.write_size = kWriteSize;
        answer.entry_size = kEntrySize;
        Progress progress(what);
        const Costs costs(io_.engine());
        Serving serving(io_.engine(), listener_, answer);
        const std::string got = curl(std::move(options), size, [&] {
            progress.show(answer.sent.load(std::memory_order_relaxed));
        });
        serving.finish();
        rows_ += costs.row(what, answer, progress.seconds());
        expect(!answer.error, what + ": write_all failed: " + strerror(answer.error));
        expect_equal(answer.count, answer.head_size + size, what + ": the sum of all count()s");
        expect(got == wanted, what + ": SHA-256 is " + got + ", expected " + wanted);
        facts_ += "  " + what + ": SHA-256 equal on both ends, " + wanted.substr(0, 16) + "...\n";
    }

    // Pipes `size` bytes from curl into sha256sum; returns the digest.
    std::string curl(std::vector<std::string> options, std::size_t size,
                     const std::function<void()>& tick) {
        Pipe bytes;
        Pipe digest;
        Pipe report;
        options.insert(options.begin(),
                       {"curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time",
                        "40", "--write-out", "%{stderr}%{http_code} %{size_download}"});
        options.push_back(url());
        Child fetching(options, -1, bytes.write.get(), report.write.get());
        Child sum({"sha256sum"}, bytes.read.get(), digest.write.get());
        bytes.read.close();
        bytes.write.close();
        digest.write.close();
        report.write.close();
        const std::string output = read_to_end(digest.read, tick);
        const std::string reported = read_to_end(report.read, tick);
        fetching.expect_success(reported);
        sum.expect_success();
        expect(reported == "200 " + std::to_string(size),
               "curl reported the status and size " + reported);
        return output.substr(0, 64);
    }

    // Cancels one write_all of the whole file to a plain socket when the peer has half of it.
    void cancel_half_way() {
        Answer answer;
        answer.content = file_.bytes();
        answer.write_size = kFileSize;
        answer.entry_size = kFileSize / 500;
        Progress progress("cancelled");
        const Costs costs(io_.engine());
        Serving serving(io_.engine(), listener_, answer);
        const Descriptor peer = connect_peer();
        std::vector<char> received;
        received.reserve(kFileSize + 1024);
        while (received.size() < kFileSize / 2) {
            expect(receive(peer, received), "cancelled: the stream ended too early");
            progress.show(received.size());
        }
        answer.stop.request_stop();
        serving.finish();
        while (receive(peer, received)) {
        }
        rows_ += costs.row("cancelled", answer, progress.seconds());
        check_canceled(answer, received);
    }

    void check_canceled(const Answer& answer, const std::vector<char>& received) {
        expect(answer.error == Errc::canceled,
               "cancelled: write_all returned: " + strerror(answer.error));
        expect_equal(received.size(), answer.count, "cancelled: the bytes that the peer received");
        expect(answer.count < answer.head_size + kFileSize,
               "cancelled: write_all had completed before the cancel");
        expect(std::memcmp(received.data() + answer.head_size, file_.bytes().data(),
                           received.size() - answer.head_size) == 0,
               "cancelled: the peer received wrong bytes");
        facts_ += "  cancelled: count() is " + grouped(answer.count) + ", the peer received " +
                  grouped(received.size()) + " bytes of the file\n";
    }

    Descriptor connect_peer() const {
        Descriptor peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const Endpoint endpoint = listener_.local_endpoint();
        const timeval patience{kPatience.count(), 0};
        ::setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (::connect(peer.get(), endpoint.address(), endpoint.size()) < 0) {
            throw_errno("connecting to the server");
        }
        const std::string request =
            "GET /file HTTP/1.1\r\nHost: " + endpoint.to_string() + "\r\n\r\n";
        if (::send(peer.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
            throw_errno("sending the request");
        }
        return peer;
    }

    // Appends the next bytes; returns false at the end of the stream.
    static bool receive(const Descriptor& peer, std::vector<char>& received) {
        const std::size_t before = received.size();
        received.resize(before + (std::size_t{256} << 10));
        const ssize_t size =
            ::recv(peer.get(), received.data() + before, received.size() - before, 0);
        if (size < 0) throw_errno("receiving");
        received.resize(before + static_cast<std::size_t>(size));
        return size > 0;
    }

    EngineThread io_;
    tcp::Listener listener_;
    File file_;
    std::string rows_;
    std::string facts_;
};

struct Arguments {};

constexpr tools::Program kProgram = {"uaio-demo",
                                     R"(Usage: uaio-demo [OPTION]

Sends a pseudo-random file of 256 MiB to curl over loopback, to a slow and to a fast reader, and
compares the SHA-256 of both ends; then cancels a transfer half-way and compares its count with the
bytes that the peer received. It takes about 20 seconds.

)",
                                     R"(
Exit codes:
  0    all checks passed
  1    a check failed, or a program is missing: curl, sha256sum
  2    invalid arguments
)"};

void parse(int argc, char** argv) {
    Arguments none;
    const std::span<const tools::Option<Arguments>> options;
    if (!tools::parse(kProgram, options, none, argc, argv).empty()) {
        tools::refuse(kProgram.name, "the program takes no arguments");
    }
}

}  // namespace
}  // namespace uaio::demo

int main(int argc, char** argv) {
    uaio::demo::parse(argc, argv);
    try {
        uaio::demo::Demo().run();
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "uaio-demo: %s\n", failure.what());
        return 1;
    }
    std::puts("all checks passed");
    return 0;
}
