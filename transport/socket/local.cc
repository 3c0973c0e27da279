#include <uaio/argument_error.h>
#include <uaio/local.h>

#include "base/error_text.h"
#include "base/quoted.h"
#include "transport/socket/connecting.h"
#include "transport/socket/listening_socket.h"

#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace uaio::local {
namespace {

bool is_abstract(std::string_view path) noexcept { return path.starts_with('@'); }

// unix(7): a path is terminated, an abstract name starts with a zero byte and has a length instead.
std::error_code address_of(std::string_view path, SocketAddress& address) noexcept {
    auto& name = reinterpret_cast<sockaddr_un&>(address.storage);
    name.sun_family = AF_UNIX;
    const bool abstract = is_abstract(path);
    // The kernel would end a path at its first NUL, and use another file.
    const bool is_cut = !abstract && path.find('\0') != path.npos;
    if (path.empty() || is_cut) return ArgumentErrc::invalid_endpoint;
    if (path.size() >= sizeof name.sun_path) return {ENAMETOOLONG, std::system_category()};
    std::memcpy(name.sun_path, path.data(), path.size());
    if (abstract) name.sun_path[0] = '\0';
    address.size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
    return {};
}

ListeningSocket* open(Engine& engine, const std::string& path, const ListenOptions& options,
                      std::shared_ptr<SocketShare> share) {
    SocketAddress address;
    if (path.empty()) {
        throw std::system_error(ArgumentErrc::invalid_endpoint,
                                "uaio: local::Listener: the socket path is empty");
    }
    if (const std::error_code error = address_of(path, address)) {
        throw std::system_error(
            error,
            with_advice("uaio: local::Listener for the socket path " + in_quotes(path), error));
    }
    Kernel& kernel = EngineCore::of(engine).kernel();
    // The probe would leave a connection in the queue of a shared socket.
    const bool shared = share && share->listens();
    if (options.remove_stale && !is_abstract(path) && !shared) {
        kernel.remove_stale_socket(path.c_str(), address.get(), address.size);
    }
    const bool keeps_no_file = is_abstract(path) || !options.remove_on_close;
    return ListeningSocket::open(engine, address.get(), address.size,
                                 {.backlog = options.backlog,
                                  .stream = options.stream,
                                  .file = keeps_no_file ? std::string() : path,
                                  .share = std::move(share)},
                                 "the socket path " + in_quotes(path));
}

}  // namespace

Listener::Listener(Engine& engine, std::string_view path, const ListenOptions& options)
    : path_(path) {
    socket_ = open(engine, path_, options, nullptr);
}

Listener::~Listener() { socket_->release(); }

void Listener::accept(Aio& aio, StreamPtr& out) { socket_->accept(aio, out); }

void Listener::close() noexcept { socket_->close(); }

Engine* Listener::engine() const noexcept { return socket_->engine_if_any(); }

AcceptorFactory acceptor(std::string_view path, const ListenOptions& options) {
    return [path = std::string(path), options,
            share = std::make_shared<SocketShare>()](Engine& engine) -> std::unique_ptr<Acceptor> {
        std::string kept = path;
        ListeningSocket& socket = *open(engine, path, options, share);
        return std::unique_ptr<Acceptor>(new Listener(std::move(kept), socket));
    };
}

void connect(std::string_view path, const ConnectOptions& options, Aio& aio,
             StreamPtr& out) noexcept {
    ConnectPlan plan;
    plan.stream = options.stream;
    plan.refused = address_of(path, plan.peer);
    connect_socket(plan, aio, out);
}

}  // namespace uaio::local
