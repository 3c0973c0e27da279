// The works of http::Server: a fixed response, 16 requests in one write, a file of 4 KiB, and a
// connection for each request.
#include "bench/instructions/http_server.h"
#include "bench/instructions/peer_sockets.h"
#include "bench/instructions/raw_server.h"
#include "bench/instructions/works.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace uaio::bench {
namespace {

constexpr std::string_view kContent = "hello, world\n";
constexpr std::string_view kRequest = "GET /fixed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
constexpr std::string_view kFileRequest = "GET /file.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
constexpr std::string_view kLastRequest =
    "GET /fixed HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

// The floors send responses of about the size of the library's.
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello, world\n";
constexpr std::string_view kFileHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 4096\r\n"
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"1234567890abcdef-1000\"\r\n"
    "Accept-Ranges: bytes\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

std::string repeated(std::string_view text) {
    std::string all;
    for (std::uint64_t i = 0; i < kPipelined; ++i)
        all += text;
    return all;
}

// A folder with one file, removed by the destructor.
class Folder {
public:
    Folder() {
        std::string name = std::filesystem::temp_directory_path() / "uaio-instructions-XXXXXX";
        if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
        path_ = name;
        const std::string bytes(RawServer::kFileBytes, 'u');
        file_ = Descriptor(::open(file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        if (::write(file_.get(), bytes.data(), bytes.size()) !=
            static_cast<ssize_t>(bytes.size())) {
            throw std::system_error(errno, std::generic_category(), file());
        }
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const std::string& path() const noexcept { return path_; }
    int fd() const noexcept { return file_.get(); }

private:
    std::string file() const { return path_ + "/file.bin"; }

    std::string path_;
    Descriptor file_;
};

void serve_fixed(Control& control, std::uint64_t batch, std::uint64_t count) {
    CountingServer server(control, batch, count);
    server.handle("/fixed", http::fixed_content(std::string(kContent), "text/plain"));
    server.run();
}

}  // namespace

void http_fixed(Control& control, std::uint64_t count) {
    serve_fixed(control, kConnections, count);
}

void http_fixed_floor(Control& control, std::uint64_t count) {
    RawServer({.request = kRequest.size(), .reply = kResponse}).run(control, count);
}

void http_fixed_peer(Control& control, std::uint64_t count) {
    send_in_batches(control, count / kConnections, kRequest, ResponseReceiver());
}

void http_pipelined(Control& control, std::uint64_t count) {
    serve_fixed(control, kConnections * kPipelined, count);
}

void http_pipelined_floor(Control& control, std::uint64_t count) {
    const std::string responses = repeated(kResponse);
    RawServer({.request = kRequest.size() * kPipelined, .reply = responses, .requests = kPipelined})
        .run(control, count);
}

void http_pipelined_peer(Control& control, std::uint64_t count) {
    send_in_batches(control, count / (kConnections * kPipelined), repeated(kRequest),
                    ResponseReceiver(kPipelined));
}

void http_file(Control& control, std::uint64_t count) {
    const Folder folder;
    CountingServer server(control, kConnections, count);
    // The file stays in memory for the whole run, however long that takes.
    const http::DirectoryOptions options{.keep = std::chrono::hours(1)};
    server.handle("/", http::directory(folder.path(), options)).prefix();
    server.run();
}

void http_file_floor(Control& control, std::uint64_t count) {
    const Folder folder;
    RawServer({.request = kFileRequest.size(), .reply = kFileHead, .file = folder.fd()})
        .run(control, count);
}

void http_file_peer(Control& control, std::uint64_t count) {
    send_in_batches(control, count / kConnections, kFileRequest, ResponseReceiver());
}

void http_close(Control& control, std::uint64_t count) {
    serve_fixed(control, kConnections, count);
}

void http_close_floor(Control& control, std::uint64_t count) {
    RawServer({.request = kLastRequest.size(), .reply = kResponse, .half_close = true})
        .run_closing(control, count);
}

void http_close_peer(Control& control, std::uint64_t count) {
    connect_in_batches(control, count / kConnections, kLastRequest, ResponseReceiver());
}

}  // namespace uaio::bench
