// The dialogue with an HTTP proxy: CONNECT (RFC 9110 9.3.6), with Basic or Digest authentication.
// It may need several connections, since a proxy may close after a 407. Not thread-safe.
#pragma once

#include <uaio/proxy.h>

#include "transport/http/format/chunked.h"
#include "transport/proxy/dialogue.h"
#include "transport/proxy/digest.h"
#include "transport/proxy/reply.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace uaio::proxy {

struct ConnectRequest {
    std::string host;  // of the target, without brackets
    std::uint16_t port = 0;
    bool has_credentials = false;
    std::string user;
    std::string password;
    ProxyAuthentication authentication = ProxyAuthentication::basic;
    std::vector<std::string> fields;  // additional field lines, "Name: value"
    Hash hash = nullptr;              // null: no Digest
    std::string client_nonce;         // a new random one for each dialogue
};

class ConnectDialogue final : public Dialogue {
public:
    // Throws std::bad_alloc.
    explicit ConnectDialogue(ConnectRequest request);

    std::error_code begin(std::string& out) override;
    Progress consume(std::string_view received, std::string& out) override;

    // After a failure: true if begin() continues the dialogue on another connection.
    bool wants_another_connection() const noexcept;

    // Status of the last answer, 0 before the first (CURLINFO_HTTP_CONNECTCODE).
    int status() const noexcept { return status_; }
    // Number of requests sent.
    unsigned requests() const noexcept { return requests_; }

private:
    enum class State : std::uint8_t { head, length, chunks };

    [[nodiscard]] std::error_code check() const;
    void append_request(std::string& out);
    Progress consume_head(std::string_view received, std::string& out);
    Progress consume_challenge();
    // Skips the content of a 407, and repeats the request.
    Progress skip(std::string_view content, std::size_t before, std::string& out);
    Progress skip_chunks(std::string_view content, std::size_t before, std::string& out);
    Progress repeat(std::size_t consumed, std::string& out);

    const ConnectRequest request_;
    const std::string authority_;
    ReplyReader reply_;
    std::array<http::FieldSlice, 16> trailer_room_;
    std::optional<http::ChunkedDecoder> chunks_;
    std::optional<Challenge> challenge_;  // the one being answered
    std::uint64_t left_ = 0;              // of the content
    State state_ = State::head;
    int status_ = 0;
    unsigned requests_ = 0;
    unsigned with_nonce_ = 0;  // of them, with the challenge's nonce
    bool answered_ = true;     // the last request was answered
    bool again_ = false;       // the proxy sent a challenge to answer
};

}  // namespace uaio::proxy
