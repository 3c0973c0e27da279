#include "transport/proxy/digest.h"

#include "base/check.h"
#include "transport/http/format/syntax.h"

#include <cstdio>
#include <initializer_list>

namespace uaio::proxy {
namespace {

using http::same_name;

constexpr std::string_view kSession = "-sess";

// Returns the name of the hash, without its "-sess".
std::string_view hash_name(std::string_view algorithm) noexcept {
    if (algorithm.size() > kSession.size() &&
        same_name(algorithm.substr(algorithm.size() - kSession.size()), kSession)) {
        algorithm.remove_suffix(kSession.size());
    }
    for (const std::string_view known : {"MD5", "SHA-256"}) {
        if (same_name(algorithm, known)) return known;
    }
    return {};
}

bool is_session(const Challenge& challenge) noexcept {
    return hash_name(challenge.algorithm).size() < challenge.algorithm.size();
}

// Returns the text of a token or of a quoted string.
std::string unquoted(std::string_view value) {
    if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
    std::string text;
    for (std::size_t at = 1; at + 1 < value.size(); ++at) {
        if (value[at] == '\\' && at + 2 < value.size()) ++at;
        text += value[at];
    }
    return text;
}

std::string quoted_string(std::string_view text) {
    std::string value = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') value += '\\';
        value += character;
    }
    return value += '"';
}

void take_parameter(Challenge& challenge, std::string_view name, std::string_view value) {
    const std::string text = unquoted(value);
    if (same_name(name, "realm")) challenge.realm = text;
    if (same_name(name, "nonce")) challenge.nonce = text;
    if (same_name(name, "algorithm")) challenge.algorithm = text;
    if (same_name(name, "stale")) challenge.stale = same_name(text, "true");
    if (same_name(name, "opaque")) {
        challenge.opaque = text;
        challenge.has_opaque = true;
    }
    if (same_name(name, "qop")) {
        challenge.has_qop = true;
        challenge.has_qop_auth = http::has_element(text, "auth");
    }
}

// Splits `scheme` off an element that begins a challenge: a token and then a space, or nothing.
// False if the element is a parameter of the challenge before.
bool take_scheme(std::string_view& element, std::string_view& scheme) noexcept {
    std::size_t end = 0;
    while (end < element.size() && http::is(http::kToken, element[end]))
        ++end;
    const std::string_view rest = http::trimmed(element.substr(end));
    const bool spaced = end < element.size() && http::is(http::kWhiteSpace, element[end]);
    if (end == 0 || rest.starts_with('=') || (!spaced && !rest.empty())) return false;
    scheme = element.substr(0, end);
    element = rest;
    return true;
}

}  // namespace

std::vector<Challenge> parse_challenges(const std::vector<std::string>& fields) {
    std::vector<Challenge> challenges;
    for (const std::string& field : fields) {
        std::string_view list = field;
        std::string_view element;
        bool inside = false;
        while (http::next_element(list, element)) {
            std::string_view scheme;
            if (take_scheme(element, scheme)) {
                challenges.emplace_back().scheme = scheme;
                challenges.back().algorithm = "MD5";
                inside = true;
            }
            const std::size_t equals = element.find('=');
            if (!inside || equals == element.npos) continue;
            take_parameter(challenges.back(), http::trimmed(element.substr(0, equals)),
                           http::trimmed(element.substr(equals + 1)));
        }
    }
    return challenges;
}

int strength_of(const Challenge& challenge, Hash hash) {
    if (same_name(challenge.scheme, "Basic")) return 1;
    if (!same_name(challenge.scheme, "Digest") || challenge.nonce.empty()) return 0;
    if (challenge.has_qop && !challenge.has_qop_auth) return 0;  // auth-int alone
    const std::string_view name = hash_name(challenge.algorithm);
    if (name.empty() || !hash || hash(name, "").empty()) return 0;
    return name == "MD5" ? 2 : 3;
}

std::string answer_digest(const Challenge& challenge, const DigestRequest& request, Hash hash) {
    const std::string_view name = hash_name(challenge.algorithm);
    DCHECK(hash && !name.empty() && !challenge.nonce.empty());
    const auto joined = [&](std::initializer_list<std::string_view> parts) {
        std::string text;
        for (const std::string_view part : parts)
            text.append(part).append(1, ':');
        text.pop_back();
        return hash(name, text);
    };
    char count[9];
    static_assert(sizeof request.count * 2 < sizeof count);
    std::snprintf(count, sizeof count, "%08x", request.count);
    std::string secret = joined({request.user, challenge.realm, request.password});
    if (is_session(challenge)) secret = joined({secret, challenge.nonce, request.client_nonce});
    const std::string what = joined({request.method, request.uri});
    const std::string response =
        challenge.has_qop
            ? joined({secret, challenge.nonce, count, request.client_nonce, "auth", what})
            : joined({secret, challenge.nonce, what});
    std::string value = "Digest username=" + quoted_string(request.user) +
                        ", realm=" + quoted_string(challenge.realm) +
                        ", nonce=" + quoted_string(challenge.nonce) +
                        ", uri=" + quoted_string(request.uri);
    if (challenge.has_qop || is_session(challenge)) {
        value += ", cnonce=" + quoted_string(request.client_nonce);
    }
    if (challenge.has_qop) value.append(", nc=").append(count).append(", qop=auth");
    value += ", response=" + quoted_string(response) + ", algorithm=" + challenge.algorithm;
    if (challenge.has_opaque) value += ", opaque=" + quoted_string(challenge.opaque);
    return value;
}

std::string answer_basic(std::string_view user, std::string_view password) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::string text = std::string(user) + ':' + std::string(password);
    std::string value = "Basic ";
    for (std::size_t at = 0; at < text.size(); at += 3) {
        const std::string_view part = std::string_view(text).substr(at, 3);
        unsigned bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < part.size() ? static_cast<unsigned char>(part[i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i)
            value += i <= part.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
    }
    return value;
}

}  // namespace uaio::proxy
