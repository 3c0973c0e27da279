// Digest authentication (RFC 7616): MD5 and SHA-256, their "-sess" forms, and qop auth. The caller
// provides the hashes. Functions of their arguments; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace uaio::proxy {

// Returns the hash of `text` in lower-case hexadecimal, by "MD5" or "SHA-256"; empty if
// unavailable.
using Hash = std::string (*)(std::string_view algorithm, std::string_view text);

struct Challenge {
    std::string scheme;  // "Basic", "Digest" or another, in any case
    std::string realm;
    std::string nonce;
    std::string opaque;
    std::string algorithm;  // "MD5" if the challenge names none
    bool has_opaque = false;
    bool has_qop = false;
    bool has_qop_auth = false;
    bool stale = false;
};

// Parses the challenges of all Proxy-Authenticate fields, in their order (RFC 9110 11.6.1). Leaves
// out what is not well-formed. Throws std::bad_alloc.
std::vector<Challenge> parse_challenges(const std::vector<std::string>& fields);

// Strength of a challenge: 0 if it cannot be answered, higher for a stronger one. `hash` may be
// null.
int strength_of(const Challenge& challenge, Hash hash);

struct DigestRequest {
    std::string_view user;
    std::string_view password;
    std::string_view method;
    std::string_view uri;
    std::string_view client_nonce;
    unsigned count = 1;  // of requests with the proxy's nonce, this one included
};

// Returns the value of the Authorization field. REQUIRES: strength_of() is not 0, and it is a
// Digest. Throws std::bad_alloc.
std::string answer_digest(const Challenge& challenge, const DigestRequest& request, Hash hash);

// Returns the value for the Basic scheme (RFC 7617). Throws std::bad_alloc.
std::string answer_basic(std::string_view user, std::string_view password);

}  // namespace uaio::proxy
