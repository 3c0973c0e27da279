#include "transport/proxy/socks.h"

#include "base/check.h"

#include <arpa/inet.h>

#include <array>

namespace uaio::proxy {
namespace {

constexpr std::size_t kLongest = 255;  // maximum of a one-byte length

constexpr char kVersion4 = 4;
constexpr char kVersion5 = 5;
constexpr char kConnect = 1;
constexpr unsigned char kGranted4 = 90;
constexpr std::size_t kReplyBytes4 = 8;

constexpr char kNoAuthentication = 0;
constexpr char kUserAndPassword = 2;
constexpr unsigned char kNoMethod = 0xff;
constexpr char kPasswordVersion = 1;  // RFC 1929

constexpr char kVersion4Address = 1;
constexpr char kName = 3;
constexpr char kVersion6Address = 4;

unsigned char byte(std::string_view bytes, std::size_t at) noexcept {
    return static_cast<unsigned char>(bytes[at]);
}

void append_port(std::string& out, std::uint16_t port) {
    out += static_cast<char>(port >> 8);
    out += static_cast<char>(port & 0xff);
}

void append_counted(std::string& out, const std::string& text) {
    ALWAYS_CHECK(text.size() <= kLongest, "the rest of the text would be read as another field");
    out += static_cast<char>(text.size());
    out += text;
}

// Parses a numeric address.
template <class Address>
bool read_address(int family, const std::string& text, Address& bytes) noexcept {
    return ::inet_pton(family, text.c_str(), bytes.data()) == 1;
}

ProxyErrc error_of_4(int code) noexcept {
    switch (code) {
        case 91: return ProxyErrc::request_rejected;
        case 92: return ProxyErrc::no_identd;
        case 93: return ProxyErrc::other_identd_user;
        default: return ProxyErrc::unknown_reply;
    }
}

ProxyErrc error_of_5(int code) noexcept {
    switch (code) {
        case 1: return ProxyErrc::general_failure;
        case 2: return ProxyErrc::not_allowed;
        case 3: return ProxyErrc::network_unreachable;
        case 4: return ProxyErrc::host_unreachable;
        case 5: return ProxyErrc::connection_refused;
        case 6: return ProxyErrc::ttl_expired;
        case 7: return ProxyErrc::command_not_supported;
        case 8: return ProxyErrc::address_not_supported;
        default: return ProxyErrc::unknown_reply;
    }
}

}  // namespace

SocksDialogue::SocksDialogue(const Proxy& proxy, std::string_view host, std::uint16_t port)
    : kind_(proxy.kind),
      has_credentials_(proxy.has_credentials),
      user_(proxy.user),
      password_(proxy.password),
      host_(host),
      port_(port) {}

std::error_code SocksDialogue::begin(std::string& out) {
    if (user_.size() > kLongest || password_.size() > kLongest) return ProxyErrc::bad_credentials;
    if (kind_ == ProxyKind::socks4 || kind_ == ProxyKind::socks4a) return begin_4(out);
    if (host_.size() > kLongest) return ProxyErrc::name_too_long;
    state_ = State::method;
    out += kVersion5;
    out += has_credentials_ ? '\2' : '\1';
    out += kNoAuthentication;
    if (has_credentials_) out += kUserAndPassword;
    return {};
}

std::error_code SocksDialogue::begin_4(std::string& out) {
    std::array<char, 4> address{0, 0, 0, 1};  // of 4a: a name follows
    const bool numeric = read_address(AF_INET, host_, address);
    if (!numeric && kind_ == ProxyKind::socks4) return ProxyErrc::no_version_4_address;
    if (!numeric && host_.size() > kLongest) return ProxyErrc::name_too_long;
    if (user_.find('\0') != user_.npos) return ProxyErrc::bad_credentials;
    state_ = State::reply_4;
    out += kVersion4;
    out += kConnect;
    append_port(out, port_);
    out.append(address.data(), address.size());
    out += user_;
    out += '\0';
    if (numeric) return {};
    out += host_;
    out += '\0';
    return {};
}

Progress SocksDialogue::consume(std::string_view received, std::string& out) {
    const bool is_4 = kind_ == ProxyKind::socks4 || kind_ == ProxyKind::socks4a;
    DCHECK((state_ == State::reply_4) == is_4);
    switch (state_) {
        case State::reply_4: return consume_reply_4(received);
        case State::method: return consume_method(received, out);
        case State::authenticated: return consume_authenticated(received, out);
        case State::reply_5: return consume_reply_5(received);
    }
    return Progress::fail(ProxyErrc::bad_reply);
}

Progress SocksDialogue::consume_reply_4(std::string_view received) {
    if (!received.empty() && received[0] != 0) return Progress::fail(ProxyErrc::bad_reply);
    if (received.size() < 2) return {};
    if (byte(received, 1) != kGranted4) {
        reply_ = byte(received, 1);
        return Progress::fail(error_of_4(reply_));
    }
    if (received.size() < kReplyBytes4) return {};
    return {Progress::State::done, kReplyBytes4};
}

Progress SocksDialogue::consume_method(std::string_view received, std::string& out) {
    if (!received.empty() && received[0] != kVersion5) return Progress::fail(ProxyErrc::bad_reply);
    if (received.size() < 2) return {};
    if (received[1] == kNoAuthentication) {
        append_request_5(out);
        state_ = State::reply_5;
    } else if (received[1] == kUserAndPassword) {
        // A proxy that requests a password although none was offered gets an empty pair, as from
        // curl.
        out += kPasswordVersion;
        append_counted(out, user_);
        append_counted(out, password_);
        state_ = State::authenticated;
    } else {
        const bool none = byte(received, 1) == kNoMethod;
        return Progress::fail(none ? ProxyErrc::authentication_required : ProxyErrc::bad_reply);
    }
    return {Progress::State::advanced, 2};
}

// Ignores the version: some proxies send their own.
Progress SocksDialogue::consume_authenticated(std::string_view received, std::string& out) {
    if (received.size() < 2) return {};
    if (received[1] != 0) return Progress::fail(ProxyErrc::credentials_refused);
    append_request_5(out);
    state_ = State::reply_5;
    return {Progress::State::advanced, 2};
}

void SocksDialogue::append_request_5(std::string& out) const {
    out += kVersion5;
    out += kConnect;
    out += '\0';
    std::array<char, 4> v4;
    std::array<char, 16> v6;
    if (read_address(AF_INET, host_, v4)) {
        out += kVersion4Address;
        out.append(v4.data(), v4.size());
    } else if (read_address(AF_INET6, host_, v6)) {
        out += kVersion6Address;
        out.append(v6.data(), v6.size());
    } else {
        out += kName;
        append_counted(out, host_);
    }
    append_port(out, port_);
}

// Skips the bound address: the bytes after it are the target's.
Progress SocksDialogue::consume_reply_5(std::string_view received) {
    if (!received.empty() && received[0] != kVersion5) return Progress::fail(ProxyErrc::bad_reply);
    if (received.size() < 2) return {};
    if (received[1] != 0) {
        reply_ = byte(received, 1);
        return Progress::fail(error_of_5(reply_));
    }
    constexpr std::size_t kBeforeAddress = 4;
    constexpr std::size_t kPort = 2;
    if (received.size() < kBeforeAddress + 1) return {};
    std::size_t size = kBeforeAddress + kPort;
    switch (received[3]) {
        case kVersion4Address: size += 4; break;
        case kVersion6Address: size += 16; break;
        case kName: size += 1u + byte(received, kBeforeAddress); break;
        default: return Progress::fail(ProxyErrc::bad_reply);
    }
    if (received.size() < size) return {};
    return {Progress::State::done, size};
}

}  // namespace uaio::proxy
