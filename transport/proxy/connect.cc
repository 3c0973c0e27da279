#include "transport/proxy/connect.h"

#include <uaio/argument_error.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"

#include <algorithm>
#include <utility>

namespace uaio::proxy {
namespace {

constexpr int kAuthenticationRequired = 407;
// The first request, an answer to its challenge, and one more for a stale nonce.
constexpr unsigned kMostRequests = 3;

std::string authority_of(const std::string& host, std::uint16_t port) {
    const bool six = host.find(':') != host.npos;
    return (six ? "[" + host + "]" : host) + ':' + std::to_string(port);
}

// RFC 7617 section 2.
bool can_be_sent(std::string_view text) noexcept {
    return std::ranges::none_of(text, [](char character) {
        return static_cast<unsigned char>(character) < ' ' || character == 0x7f;
    });
}

bool offer(const std::vector<Challenge>& offers, std::string_view scheme) noexcept {
    return std::ranges::any_of(
        offers, [&](const Challenge& one) { return http::same_name(one.scheme, scheme); });
}

// Why no challenge can be answered: no scheme is known here, or a known one was not allowed.
ProxyErrc unusable(const std::vector<Challenge>& offers) noexcept {
    const bool known = offer(offers, "Basic") || offer(offers, "Digest");
    return known ? ProxyErrc::other_authentication : ProxyErrc::authentication_required;
}

bool is_field(std::string_view line) noexcept {
    const std::size_t colon = line.find(':');
    return colon != line.npos && http::is_token(line.substr(0, colon)) &&
           http::all_are(http::kValue, line.substr(colon + 1));
}

}  // namespace

ConnectDialogue::ConnectDialogue(ConnectRequest request)
    : request_(std::move(request)), authority_(authority_of(request_.host, request_.port)) {}

bool ConnectDialogue::wants_another_connection() const noexcept {
    // If the connection ended before the reply to an answered challenge, the answer is sent again
    // on the next.
    return requests_ < kMostRequests && (again_ || (!answered_ && challenge_));
}

std::error_code ConnectDialogue::check() const {
    const bool host_is_fine = std::ranges::all_of(request_.host, [](char character) {
        return http::is(http::kName, character) || character == ':' || character == '%';
    });
    if (request_.host.empty() || !host_is_fine) return ArgumentErrc::invalid_url;
    const bool colon = request_.user.find(':') != std::string::npos;
    if (colon || !can_be_sent(request_.user) || !can_be_sent(request_.password)) {
        return ProxyErrc::bad_credentials;
    }
    if (!std::ranges::all_of(request_.fields, is_field)) return ProxyErrc::bad_field;
    const bool digest = request_.authentication == ProxyAuthentication::digest;
    if (digest && request_.has_credentials && !request_.hash) return Errc::not_supported;
    return {};
}

std::error_code ConnectDialogue::begin(std::string& out) {
    if (const std::error_code error = check()) return error;
    append_request(out);
    return {};
}

void ConnectDialogue::append_request(std::string& out) {
    DCHECK(requests_ < kMostRequests);
    ++requests_;
    answered_ = false;
    again_ = false;
    state_ = State::head;
    reply_.reset();
    out += "CONNECT " + authority_ + " HTTP/1.1\r\nHost: " + authority_ + "\r\n";
    const bool at_once =
        request_.has_credentials && request_.authentication == ProxyAuthentication::basic;
    if (at_once || (challenge_ && http::same_name(challenge_->scheme, "Basic"))) {
        out += "Proxy-Authorization: " + answer_basic(request_.user, request_.password) + "\r\n";
    } else if (challenge_) {
        out += "Proxy-Authorization: " +
               answer_digest(*challenge_,
                             {.user = request_.user,
                              .password = request_.password,
                              .method = "CONNECT",
                              .uri = authority_,
                              .client_nonce = request_.client_nonce,
                              .count = ++with_nonce_},
                             request_.hash) +
               "\r\n";
    }
    out += "Proxy-Connection: Keep-Alive\r\n";
    for (const std::string& field : request_.fields)
        out += field + "\r\n";
    out += "\r\n";
}

Progress ConnectDialogue::consume(std::string_view received, std::string& out) {
    switch (state_) {
        case State::head: return consume_head(received, out);
        case State::length: return skip(received, 0, out);
        case State::chunks: return skip_chunks(received, 0, out);
    }
    return Progress::fail(ProxyErrc::bad_reply);
}

Progress ConnectDialogue::consume_head(std::string_view received, std::string& out) {
    if (!received.empty()) answered_ = true;
    switch (reply_.read(received)) {
        case ReplyReader::State::need_more: return {};
        case ReplyReader::State::failed: return Progress::fail(reply_.error());
        case ReplyReader::State::complete: break;
    }
    DCHECK(reply_.size() <= received.size());
    status_ = reply_.status();
    // RFC 9110 9.3.6: the length fields of a 2xx are ignored.
    if (status_ / 100 == 2) return {Progress::State::done, reply_.size()};
    if (status_ != kAuthenticationRequired) return Progress::fail(Errc::proxy_refused);
    const Progress challenged = consume_challenge();
    if (challenged.state == Progress::State::failed) return challenged;
    again_ = true;
    const bool ends = reply_.chunked() || reply_.length();
    if (!ends || !reply_.keeps_alive()) return Progress::fail(ProxyErrc::authentication_required);
    const std::string_view content = received.substr(reply_.size());
    if (reply_.chunked()) {
        chunks_.emplace(trailer_room_);
        return skip_chunks(content, reply_.size(), out);
    }
    left_ = *reply_.length();
    return skip(content, reply_.size(), out);
}

// Chooses a challenge. A second one means wrong credentials, unless only the nonce is stale.
Progress ConnectDialogue::consume_challenge() {
    if (!request_.has_credentials) return Progress::fail(ProxyErrc::authentication_required);
    std::vector<Challenge> offers = parse_challenges(reply_.challenges());
    if (request_.authentication == ProxyAuthentication::basic) {
        const bool is_offered = offers.empty() || offer(offers, "Basic");
        return Progress::fail(is_offered ? ProxyErrc::credentials_refused : unusable(offers));
    }
    if (requests_ == kMostRequests) return Progress::fail(ProxyErrc::credentials_refused);
    const bool first = !challenge_;
    const bool basic_too = request_.authentication == ProxyAuthentication::any;
    int strongest = 0;
    std::optional<Challenge> chosen;
    for (Challenge& offered : offers) {
        const int strength = strength_of(offered, request_.hash);
        if (strength <= strongest || (strength == 1 && !basic_too)) continue;
        strongest = strength;
        chosen = std::move(offered);
    }
    if (!chosen) return Progress::fail(unusable(offers));
    if (!first && !chosen->stale) return Progress::fail(ProxyErrc::credentials_refused);
    challenge_ = std::move(chosen);
    with_nonce_ = 0;
    return {};
}

Progress ConnectDialogue::skip(std::string_view content, std::size_t before, std::string& out) {
    const std::size_t taken =
        static_cast<std::size_t>(std::min<std::uint64_t>(left_, content.size()));
    DCHECK(again_ && requests_ < kMostRequests);  // the request is repeated behind it
    left_ -= taken;
    if (left_ == 0) return repeat(before + taken, out);
    state_ = State::length;
    return {Progress::State::advanced, before + taken};
}

Progress ConnectDialogue::skip_chunks(std::string_view content, std::size_t before,
                                      std::string& out) {
    std::size_t taken = 0;
    for (;;) {
        const http::Chunked chunk = chunks_->decode(content.substr(taken));
        DCHECK(chunk.consumed <= content.size() - taken);
        taken += chunk.consumed;
        switch (chunk.outcome) {
            case http::Chunked::Outcome::data: continue;
            case http::Chunked::Outcome::complete: return repeat(before + taken, out);
            case http::Chunked::Outcome::malformed: return Progress::fail(ProxyErrc::bad_reply);
            case http::Chunked::Outcome::need_more:
                state_ = State::chunks;
                return {Progress::State::advanced, before + taken};
        }
    }
}

Progress ConnectDialogue::repeat(std::size_t consumed, std::string& out) {
    append_request(out);
    return {Progress::State::advanced, consumed};
}

}  // namespace uaio::proxy
