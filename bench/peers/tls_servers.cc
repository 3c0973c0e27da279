#include "bench/peers/tls_servers.h"

#include "bench/support/contest.h"
#include "bench/support/tls_identity.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

namespace uaio::bench {
namespace {

namespace fs = std::filesystem;

// A folder with the servers' files, removed when the program ends.
class Folder {
public:
    Folder() {
        std::string name = fs::temp_directory_path() / "uaio-bench-XXXXXX";
        if (!::mkdtemp(name.data())) {
            throw std::system_error(errno, std::system_category(), "mkdtemp");
        }
        path_ = name;
        fs::permissions(path_, fs::perms::others_exec | fs::perms::others_read,
                        fs::perm_options::add);
        fs::create_directory(path_ / "files");
        write("cert.pem", tls_identity().certificate);
        write("key.pem", tls_identity().key);
        write("files/bulk.bin", std::string(kServedBytes, 'u'));
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string at(std::string_view name) const { return path_ / name; }
    void write(std::string_view name, std::string_view text) const {
        std::ofstream(at(name)) << text;
    }

private:
    fs::path path_;
};

const Folder& folder() {
    static const Folder made;
    return made;
}

// One process: a master process would do nothing here.
std::string nginx_configuration(std::uint16_t port) {
    const std::string temporary = folder().at("temporary");
    return "daemon off; master_process off; pid " + folder().at("pid") +
           "; error_log /dev/null;\n"
           "events { worker_connections 1024; }\n"
           "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n"
           "client_body_temp_path " +
           temporary + "; proxy_temp_path " + temporary + "; fastcgi_temp_path " + temporary +
           "; uwsgi_temp_path " + temporary + "; scgi_temp_path " + temporary +
           ";\n"
           "server { listen 127.0.0.1:" +
           std::to_string(port) + " ssl; root " + folder().at("files") +
           ";\n"
           "ssl_protocols TLSv1.3; ssl_certificate " +
           folder().at("cert.pem") + "; ssl_certificate_key " + folder().at("key.pem") + "; } }\n";
}

bool is_installed(std::string_view program) {
    const char* const path = std::getenv("PATH");
    for (std::string_view rest = path ? path : ""; !rest.empty();) {
        const std::string_view each = rest.substr(0, rest.find(':'));
        std::error_code ignored;
        if (fs::exists(fs::path(each) / program, ignored)) return true;
        rest.remove_prefix(std::min(rest.size(), each.size() + 1));
    }
    return false;
}

SSL_CTX* client_context() {
    static const tls::SslContextPtr context = [] {
        tls::SslContextPtr made(SSL_CTX_new(TLS_client_method()));
        if (!made) throw std::runtime_error("SSL_CTX_new");
        SSL_CTX_set_session_cache_mode(made.get(),
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        return made;
    }();
    return context.get();
}

}  // namespace

std::unique_ptr<ServerProcess> start_tls_server(const std::string& name) {
    if (name == "uaio") {
        const fs::path beside = fs::read_symlink("/proc/self/exe").parent_path() / "server_uaio";
        return std::make_unique<ServerProcess>(std::vector<std::string>{
            beside, folder().at("files"), folder().at("cert.pem"), folder().at("key.pem")});
    }
    if (!is_installed("nginx")) throw Unavailable("no nginx");
    const std::uint16_t port = Listening().port();
    folder().write("nginx.conf", nginx_configuration(port));
    return std::make_unique<ServerProcess>(
        std::vector<std::string>{"nginx", "-p", folder().at(""), "-c", folder().at("nginx.conf")},
        port);
}

TlsClient::TlsClient(std::uint16_t port, SSL_SESSION* session)
    : socket_(connect_to(port)), ssl_(SSL_new(client_context())) {
    if (!ssl_) throw std::runtime_error("SSL_new");
    SSL_set_fd(ssl_.get(), socket_.get());
    if (session) SSL_set_session(ssl_.get(), session);
    if (SSL_connect(ssl_.get()) != 1) throw std::runtime_error("SSL_connect");
}

tls::SessionPtr TlsClient::finish() {
    std::array<char, 256> dropped;
    SSL_shutdown(ssl_.get());
    while (SSL_read(ssl_.get(), dropped.data(), static_cast<int>(dropped.size())) > 0) {
    }
    ERR_clear_error();
    return tls::SessionPtr(SSL_get1_session(ssl_.get()));
}

void TlsClient::download() {
    constexpr std::string_view kRequest = "GET /bulk.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if (SSL_write(ssl_.get(), kRequest.data(), static_cast<int>(kRequest.size())) <= 0) {
        throw std::runtime_error("SSL_write");
    }
    for (std::size_t left = kServedBytes; left > 0;) {
        const ssize_t count = ::recv(socket_.get(), nullptr, left, MSG_TRUNC);
        if (count <= 0) throw std::runtime_error("the server ended early");
        left -= static_cast<std::size_t>(count);
    }
}

}  // namespace uaio::bench
