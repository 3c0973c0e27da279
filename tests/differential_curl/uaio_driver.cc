#include <uaio/argument_error.h>
#include <uaio/engine.h>
#include <uaio/tls_error.h>

#include "tests/differential_curl/driver.h"

namespace uaio {
namespace {

using namespace std::chrono_literals;

struct Meaning {
    ProxyErrc error;
    CURLproxycode code;
};

constexpr Meaning kOfSocks[] = {
    {ProxyErrc::authentication_required, CURLPX_NO_AUTH},
    {ProxyErrc::credentials_refused, CURLPX_USER_REJECTED},
    {ProxyErrc::bad_credentials, CURLPX_LONG_USER},
    {ProxyErrc::no_version_4_address, CURLPX_RESOLVE_HOST},
    {ProxyErrc::general_failure, CURLPX_REPLY_GENERAL_SERVER_FAILURE},
    {ProxyErrc::not_allowed, CURLPX_REPLY_NOT_ALLOWED},
    {ProxyErrc::network_unreachable, CURLPX_REPLY_NETWORK_UNREACHABLE},
    {ProxyErrc::host_unreachable, CURLPX_REPLY_HOST_UNREACHABLE},
    {ProxyErrc::connection_refused, CURLPX_REPLY_CONNECTION_REFUSED},
    {ProxyErrc::ttl_expired, CURLPX_REPLY_TTL_EXPIRED},
    {ProxyErrc::command_not_supported, CURLPX_REPLY_COMMAND_NOT_SUPPORTED},
    {ProxyErrc::address_not_supported, CURLPX_REPLY_ADDRESS_TYPE_NOT_SUPPORTED},
    {ProxyErrc::unknown_reply, CURLPX_REPLY_UNASSIGNED},
    {ProxyErrc::request_rejected, CURLPX_REQUEST_FAILED},
    {ProxyErrc::no_identd, CURLPX_IDENTD},
    {ProxyErrc::other_identd_user, CURLPX_IDENTD_DIFFER},
};

ProxyKind kind_of(const Setup& setup) {
    Proxy proxy;
    static_cast<void>(parse_proxy(setup.proxy.value_or(""), proxy));  // untouched: none
    return proxy.kind;
}

bool is_socks(ProxyKind kind) { return kind >= ProxyKind::socks4; }

// -1 where libcurl has no such code.
int code_of_tls(std::error_code error) {
    switch (static_cast<TlsErrc>(error.value())) {
        case TlsErrc::certificate_not_pinned: return CURLE_SSL_PINNEDPUBKEYNOTMATCH;
        case TlsErrc::certificate_expired:
        case TlsErrc::certificate_not_yet_valid:
        case TlsErrc::certificate_name_mismatch:
        case TlsErrc::certificate_untrusted:
        case TlsErrc::certificate_self_signed:
        case TlsErrc::certificate_wrong_purpose: return CURLE_PEER_FAILED_VERIFICATION;
        case TlsErrc::no_common_version:
        case TlsErrc::not_tls:
        case TlsErrc::refused_by_peer:
        case TlsErrc::peer_wants_certificate: return CURLE_SSL_CONNECT_ERROR;
        default: return -1;
    }
}

int code_of_proxy(std::error_code error, bool socks) {
    switch (static_cast<ProxyErrc>(error.value())) {
        case ProxyErrc::name_not_resolved: return CURLE_COULDNT_RESOLVE_PROXY;
        case ProxyErrc::unsupported_scheme: return CURLE_COULDNT_CONNECT;
        case ProxyErrc::bad_url: return -1;
        default: return socks ? CURLE_PROXY : CURLE_RECV_ERROR;
    }
}

int code_of(std::error_code error, DialPhase phase, bool socks) {
    if (!error) return CURLE_OK;
    if (error == Errc::timed_out) return CURLE_OPERATION_TIMEDOUT;
    if (error == ArgumentErrc::invalid_url) return CURLE_URL_MALFORMAT;
    if (error == Errc::proxy_refused) return CURLE_RECV_ERROR;
    if (error.category() == resolve_category()) return CURLE_COULDNT_RESOLVE_HOST;
    if (error.category() == tls_category()) return code_of_tls(error);
    if (error.category() == proxy_category()) return code_of_proxy(error, socks);
    const bool ended = error == Errc::truncated || error == Errc::connection_reset;
    if (phase == DialPhase::tls && ended) return CURLE_SSL_CONNECT_ERROR;
    return error == std::errc::connection_refused ? CURLE_COULDNT_CONNECT : -1;
}

tls::Context context_of(const TlsSetup& setup) {
    tls::ContextOptions options;
    options.authorities = setup.authorities;
    options.verify_peer = setup.verify_peer;
    options.verify_name = setup.verify_name;
    if (!setup.pin.empty()) options.pins = {setup.pin};
    if (setup.only_1_3) options.min_version = tls::Version::tls_1_3;
    return tls::Context(options);
}

easy::Options options_of(const Setup& setup) {
    easy::Options options;
    options.timeout = setup.connect_timeout;
    options.proxy = setup.proxy;
    options.no_proxy = setup.no_proxy;
    options.pre_proxy = setup.pre_proxy;
    options.proxy_authentication = setup.authentication;
    if (setup.announces) options.proxy_header = ProxyHeader::v1;
    options.unix_path = setup.unix_path;
    options.resolve = setup.resolve;
    options.stream.send_buffer = static_cast<int>(setup.send_buffer);
    options.tls_context = context_of(setup.tls);
    options.proxy_tls_context = context_of(setup.proxy_tls);
    return options;
}

class UaioDriver final : public Driver {
public:
    std::string connect(const std::string& url, const Setup& setup) override {
        Aio aio(engine_);
        connection_.connect(url, options_of(setup), aio);
        error_ = aio.wait();
        proxy_ = kind_of(setup);
        const int code = code_of(error_, connection_.report().phase, is_socks(proxy_));
        return code >= 0 ? std::to_string(code) : error_.message();
    }
    std::string send(std::string_view bytes) override {
        return text(connection_.try_send(std::as_bytes(std::span(bytes))), 55);
    }
    std::string receive(std::size_t room) override {
        std::string bytes(room, '\0');
        const Transferred result =
            connection_.try_receive(std::as_writable_bytes(std::span(bytes)));
        received_.append(bytes, 0, result.count);
        return text(result, 56);
    }
    int socket() override { return connection_.native_handle(); }
    bool wait_to_send(const std::function<void()>& meanwhile) override {
        Aio aio(engine_);
        connection_.wait_for(Direction::send, aio);
        for (int round = 0; round < 20'000 && aio.busy(); ++round) {
            engine_.run_once(1ms);
            meanwhile();
        }
        if (aio.busy()) aio.cancel();
        return !aio.wait();
    }
    void turn() override { engine_.run_once(1ms); }
    long connect_code() override { return connection_.report().proxy_status; }
    long proxy_error() override {
        if (!is_socks(proxy_) || error_.category() != proxy_category()) return CURLPX_OK;
        const bool version_4 = proxy_ == ProxyKind::socks4 || proxy_ == ProxyKind::socks4a;
        if (version_4 && error_ == ProxyErrc::unknown_reply) return CURLPX_UNKNOWN_FAIL;
        for (const Meaning& meaning : kOfSocks) {
            if (error_ == meaning.error) return meaning.code;
        }
        return -1;
    }
    easy::Connection* connection() override { return &connection_; }

private:
    static std::string text(const Transferred& result, int failure) {
        if (!result.error) return answer(0, result.count);
        if (result.error == Errc::end_of_stream) return "end,0";
        if (result.error == Errc::truncated) return "cut off,0";
        if (result.error == Errc::not_connected) return answer(1, result.count);
        if (result.error == Errc::operation_would_block) return answer(81, result.count);
        return answer(failure, result.count);
    }

    Engine engine_;
    easy::Connection connection_{engine_};
    std::error_code error_;
    ProxyKind proxy_ = ProxyKind::none;
};

}  // namespace

std::unique_ptr<Driver> make_uaio_driver() { return std::make_unique<UaioDriver>(); }

}  // namespace uaio
