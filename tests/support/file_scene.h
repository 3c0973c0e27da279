// A server of a folder, plain or over TLS, and clients that read its responses in steps. Socket
// buffers are small, so that most of a large file stays unsent while a client does not read. For
// one thread.
#pragma once

#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/kernels.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/turns.h"

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace uaio {

// The two sides of a layer between HTTP and TCP; none by default.
struct SceneLayer {
    std::function<AcceptorFactory(AcceptorFactory)> server = [](AcceptorFactory plain) {
        return plain;
    };
    std::function<std::unique_ptr<Connector>(std::unique_ptr<Connector>)> client =
        [](std::unique_ptr<Connector> plain) { return plain; };
};

class FileScene {
public:
    explicit FileScene(KernelKind kind, const SceneLayer& layer = {}, const Faults& faults = {},
                       std::uint64_t seed = 1) {
        EngineOptions options;
        options.log = [this](LogLevel, std::string_view text) {
            messages.push_back(std::string(text));
        };
        if (kind == OnSim::kKind) kernel_.emplace(seed, faults);
        kernel_ ? engine_.emplace(*kernel_, options) : engine_.emplace(options_on(kind, options));
        http::ServerOptions server;
        server.linger_timeout = std::chrono::milliseconds(10);
        server.access_log = [this](const http::AccessRecord& record) {
            statuses.push_back(record.status);
            errors.push_back(record.error);
        };
        server_.emplace(*engine_, server);
        listen_ = [this, layer] {
            tcp::ListenOptions small;
            small.stream.send_buffer = 32768;
            small.stream.receive_buffer = 32768;
            Endpoint endpoint;
            server_->listen(layer.server([&](Engine& engine) {
                auto listener =
                    std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0), small);
                endpoint = listener->local_endpoint();
                return listener;
            }));
            tcp::ConnectOptions connect;
            connect.stream = small.stream;
            connector_ = layer.client(std::make_unique<tcp::Connector>(endpoint, connect));
        };
    }

    // Serves all paths by this handler. Call it once.
    void serve(http::Handler handler) {
        server_->handle("", "/", std::move(handler)).prefix();
        listen_();
    }
    Engine& engine() { return *engine_; }
    SimKernel& kernel() { return *kernel_; }
    Connector& connector() { return *connector_; }
    http::Server& server() { return *server_; }
    void drop_server() { server_.reset(); }
    bool run_until(const std::function<bool()>& done) { return uaio::run_until(*engine_, done); }

    // Calls of the log hook and of the access log.
    std::vector<std::string> messages;
    std::vector<int> statuses;
    std::vector<std::error_code> errors;

private:
    std::optional<SimKernel> kernel_;
    std::optional<Engine> engine_;
    std::optional<http::Server> server_;
    std::unique_ptr<Connector> connector_;
    std::function<void()> listen_;
};

class FileClient {
public:
    explicit FileClient(FileScene& scene) : scene_(scene) {
        Operation connect(scene.engine());
        scene.connector().connect(connect.aio, stream_);
        REQUIRE(scene.run_until([&] { return connect.done(); }));
        REQUIRE(stream_);
    }

    void ask(const std::string& target, const std::string& fields = {}) {
        const std::string request =
            "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
        Operation write(scene_.engine(), request);
        stream_->write_all(write.aio);
        REQUIRE(scene_.run_until([&] { return write.done(); }));
        REQUIRE(!write.ended().error);
        received_.clear();
        end_ = {};
    }
    // Reads until `size` bytes have arrived or the stream has ended.
    void receive(std::size_t size) {
        std::string piece(65536, '\0');
        while (received_.size() < size && !end_) {
            const std::size_t room = std::min(piece.size(), size - received_.size());
            Operation read(scene_.engine(), std::string_view(piece).substr(0, room));
            stream_->read(read.aio);
            REQUIRE(scene_.run_until([&] { return read.done(); }));
            received_.append(piece, 0, read.ended().count);
            end_ = read.ended().error;
        }
    }
    void receive_head() {
        while (head_size() == 0 && !end_)
            receive(received_.size() + 1);
        REQUIRE(head_size() > 0);
    }
    // The rest of the response, as far as it arrives.
    void receive_rest() {
        receive_head();
        receive(head_size() + length());
    }
    // One complete request; returns its status.
    int get(const std::string& target, const std::string& fields = {}) {
        ask(target, fields);
        receive_rest();
        return status();
    }

    int status() const { return received_.size() < 12 ? 0 : std::stoi(received_.substr(9, 3)); }
    std::string head() const { return received_.substr(0, head_size()); }
    std::string content() const { return received_.substr(head_size()); }
    // The announced length.
    std::size_t length() const {
        constexpr std::string_view kName = "\r\nContent-Length: ";
        const std::size_t at = head().find(kName);
        return at == std::string::npos ? 0 : std::stoul(received_.substr(at + kName.size()));
    }
    bool whole() const { return content().size() == length(); }
    // How reading ended; no error before that.
    [[nodiscard]] std::error_code end() const { return end_; }

private:
    std::size_t head_size() const {
        const std::size_t at = received_.find("\r\n\r\n");
        return at == std::string::npos ? 0 : at + 4;
    }

    FileScene& scene_;
    StreamPtr stream_;
    std::string received_;
    std::error_code end_;
};

// A folder whose file "changing" tests change while it is served.
class ChangingFile : public TemporaryFolder {
public:
    static constexpr std::size_t kLarge = std::size_t{1} << 20;

    explicit ChangingFile(std::size_t size) : content(pattern(size)) {
        write("changing", content);
        write("other", "other");
    }
    void write(const std::string& name, std::string_view text) const {
        std::ofstream(at(name), std::ios::binary) << text;
    }

    const std::string content;
};

}  // namespace uaio
