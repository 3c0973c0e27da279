// The two libraries behind one set of calls: libcurl with CURLOPT_CONNECT_ONLY, and
// easy::Connection. Every answer is a text "code,count" with the codes of libcurl 7.88.1
// (curl/curl.h): 0, 1 unsupported protocol, 3 bad URL, 5 and 6 unknown proxy and unknown host, 7 no
// connection, 28 timeout, 35 TLS, 55 send, 56 receive, 60 certificate, 81 again, 90 pin, 97 proxy.
// Answers without a code in libcurl are words. For one thread.
#pragma once

#include <uaio/easy.h>

#include <curl/curl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio {

// The settings of one side's TLS; all others are each library's defaults.
struct TlsSetup {
    std::string authorities;  // in PEM
    bool verify_peer = true;
    bool verify_name = true;
    std::string pin;
    bool only_1_3 = false;
};

// The settings of both libraries for a connect.
struct Setup {
    std::optional<std::string> proxy = "";  // unset: that of the environment
    std::optional<std::string> no_proxy;
    std::string pre_proxy;
    ProxyAuthentication authentication = ProxyAuthentication::basic;
    bool announces = false;  // PROXY, version 1
    std::string unix_path;
    std::vector<std::string> resolve;
    std::chrono::milliseconds connect_timeout{20'000};
    long whole_timeout_ms = 0;  // libcurl's CURLOPT_TIMEOUT_MS; uaio has only the one above
    long most_connections = 0;  // CURLOPT_MAXCONNECTS
    long send_buffer = 0;
    TlsSetup tls;
    TlsSetup proxy_tls;
};

class Driver {
public:
    virtual ~Driver() = default;
    virtual std::string connect(const std::string& url, const Setup& setup) = 0;
    virtual std::string send(std::string_view bytes) = 0;
    // At most `room` bytes, appended to received().
    virtual std::string receive(std::size_t room) = 0;
    virtual int socket() = 0;
    // Waits until another send may succeed, by this library's means, and calls `meanwhile`
    // repeatedly. False after a timeout.
    virtual bool wait_to_send(const std::function<void()>& meanwhile) = 0;
    // A turn of the library's loop, if it has one.
    virtual void turn() = 0;
    // The proxy's last answer to a connect: CURLINFO_HTTP_CONNECTCODE and CURLINFO_PROXY_ERROR.
    virtual long connect_code() = 0;
    virtual long proxy_error() = 0;

    // For features of one of the two only; null for the other.
    virtual CURL* curl() { return nullptr; }
    virtual easy::Connection* connection() { return nullptr; }

    const std::string& received() const { return received_; }

protected:
    std::string received_;
};

std::unique_ptr<Driver> make_curl_driver();
std::unique_ptr<Driver> make_uaio_driver();

inline std::string answer(int code, std::size_t count) {
    return std::to_string(code) + "," + std::to_string(count);
}

}  // namespace uaio
