#include "tests/differential_curl/driver.h"

#include <poll.h>
#include <sys/socket.h>

#include <utility>

namespace uaio {
namespace {

curl_blob blob_of(const std::string& text) {
    return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
}

const char* text_or_null(const std::optional<std::string>& text) {
    return text ? text->c_str() : nullptr;
}

// A list that lives until the next connect.
class List {
public:
    List() = default;
    ~List() { curl_slist_free_all(head_); }
    List(const List&) = delete;
    List& operator=(const List&) = delete;

    curl_slist* fill(const std::vector<std::string>& lines) {
        curl_slist_free_all(std::exchange(head_, nullptr));
        for (const std::string& line : lines)
            head_ = curl_slist_append(head_, line.c_str());
        return head_;
    }

private:
    curl_slist* head_ = nullptr;
};

class CurlDriver final : public Driver {
public:
    ~CurlDriver() override { curl_easy_cleanup(handle_); }

    std::string connect(const std::string& url, const Setup& setup) override {
        curl_easy_setopt(handle_, CURLOPT_URL, url.c_str());
        curl_easy_setopt(handle_, CURLOPT_CONNECT_ONLY, 1L);
        const auto timeout = static_cast<long>(setup.connect_timeout.count());
        curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS, timeout);
        curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, setup.whole_timeout_ms);
        if (setup.most_connections > 0) {
            curl_easy_setopt(handle_, CURLOPT_MAXCONNECTS, setup.most_connections);
        }
        send_buffer_ = setup.send_buffer;
        curl_easy_setopt(handle_, CURLOPT_SOCKOPTDATA, &send_buffer_);
        curl_easy_setopt(handle_, CURLOPT_SOCKOPTFUNCTION, &set_buffer);
        curl_easy_setopt(handle_, CURLOPT_RESOLVE, resolve_.fill(setup.resolve));
        if (!setup.unix_path.empty()) {
            curl_easy_setopt(handle_, CURLOPT_UNIX_SOCKET_PATH, setup.unix_path.c_str());
        }
        set_proxies(setup);
        set_tls(setup.tls);
        set_proxy_tls(setup.proxy_tls);
        return std::to_string(curl_easy_perform(handle_));
    }
    std::string send(std::string_view bytes) override {
        std::size_t count = 0;
        const CURLcode code = curl_easy_send(handle_, bytes.data(), bytes.size(), &count);
        return answer(code, count);
    }
    std::string receive(std::size_t room) override {
        std::string bytes(room + 1, '\0');
        std::size_t count = 0;
        const CURLcode code = curl_easy_recv(handle_, bytes.data(), room, &count);
        received_.append(bytes, 0, count);
        return answer(code, count);
    }
    int socket() override {
        curl_socket_t fd = CURL_SOCKET_BAD;
        curl_easy_getinfo(handle_, CURLINFO_ACTIVESOCKET, &fd);
        return fd;
    }
    bool wait_to_send(const std::function<void()>& meanwhile) override {
        for (int round = 0; round < 20'000; ++round) {
            pollfd entry{socket(), POLLOUT, 0};
            if (::poll(&entry, 1, 1) == 1) return true;
            meanwhile();
        }
        return false;
    }
    void turn() override {
        pollfd nothing{-1, 0, 0};
        ::poll(&nothing, 1, 1);
    }
    long connect_code() override { return info(CURLINFO_HTTP_CONNECTCODE); }
    long proxy_error() override { return info(CURLINFO_PROXY_ERROR); }
    CURL* curl() override { return handle_; }

private:
    static int set_buffer(void* data, curl_socket_t fd, curlsocktype) {
        const int size = static_cast<int>(*static_cast<long*>(data));
        if (size > 0) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        return CURL_SOCKOPT_OK;
    }

    void set_proxies(const Setup& setup) {
        curl_easy_setopt(handle_, CURLOPT_PROXY, text_or_null(setup.proxy));
        curl_easy_setopt(handle_, CURLOPT_NOPROXY, text_or_null(setup.no_proxy));
        if (!setup.pre_proxy.empty()) {
            curl_easy_setopt(handle_, CURLOPT_PRE_PROXY, setup.pre_proxy.c_str());
        }
        // Tunnels also for an http URL, as uaio always does.
        curl_easy_setopt(handle_, CURLOPT_HTTPPROXYTUNNEL, 1L);
        long methods = CURLAUTH_BASIC;
        if (setup.authentication == ProxyAuthentication::digest) methods = CURLAUTH_DIGEST;
        if (setup.authentication == ProxyAuthentication::any) methods = CURLAUTH_ANY;
        curl_easy_setopt(handle_, CURLOPT_PROXYAUTH, methods);
        curl_easy_setopt(handle_, CURLOPT_HAPROXYPROTOCOL, setup.announces ? 1L : 0L);
    }

    void set_tls(const TlsSetup& tls) {
        curl_blob authorities = blob_of(tls.authorities);
        if (authorities.len > 0) curl_easy_setopt(handle_, CURLOPT_CAINFO_BLOB, &authorities);
        curl_easy_setopt(handle_, CURLOPT_SSL_VERIFYPEER, tls.verify_peer ? 1L : 0L);
        curl_easy_setopt(handle_, CURLOPT_SSL_VERIFYHOST, tls.verify_name ? 2L : 0L);
        const char* const pin = tls.pin.empty() ? nullptr : tls.pin.c_str();
        curl_easy_setopt(handle_, CURLOPT_PINNEDPUBLICKEY, pin);
        const long version = tls.only_1_3 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_DEFAULT;
        curl_easy_setopt(handle_, CURLOPT_SSLVERSION, version);
    }

    void set_proxy_tls(const TlsSetup& tls) {
        curl_blob authorities = blob_of(tls.authorities);
        if (authorities.len > 0) {
            curl_easy_setopt(handle_, CURLOPT_PROXY_CAINFO_BLOB, &authorities);
        }
        curl_easy_setopt(handle_, CURLOPT_PROXY_SSL_VERIFYPEER, tls.verify_peer ? 1L : 0L);
        curl_easy_setopt(handle_, CURLOPT_PROXY_SSL_VERIFYHOST, tls.verify_name ? 2L : 0L);
    }

    long info(CURLINFO what) {
        long value = -1;
        curl_easy_getinfo(handle_, what, &value);
        return value;
    }

    long send_buffer_ = 0;
    List resolve_;
    CURL* handle_ = curl_easy_init();
};

}  // namespace

std::unique_ptr<Driver> make_curl_driver() { return std::make_unique<CurlDriver>(); }

}  // namespace uaio
