#include <uaio/tls_error.h>

#include "base/error_table.h"

#include <cstddef>
#include <iterator>

namespace uaio {
namespace {

constexpr ErrorMeaning kTlsMeanings[] = {
    {TlsErrc::certificate_expired, "certificate expired",
     "The peer's certificate, or one of its issuers', has expired; its owner must renew it. If it "
     "was renewed, check this machine's clock."},
    {TlsErrc::certificate_not_yet_valid, "certificate not yet valid",
     "The peer's certificate is not valid yet; check this machine's clock."},
    {TlsErrc::certificate_name_mismatch, "certificate is for another name",
     "The peer's certificate is valid, but not for the requested name; check the name, or get a "
     "certificate that lists it as a subject alternative name."},
    {TlsErrc::certificate_untrusted, "certificate of an unknown authority",
     "No chain leads from the peer's certificate to a trusted authority; add the authority's "
     "certificate to ContextOptions::authorities, or have the peer send the intermediate "
     "certificates."},
    {TlsErrc::certificate_self_signed, "self-signed certificate",
     "The peer's certificate, or the root that it sent, is self-signed and not trusted; if it is "
     "genuine, add it to ContextOptions::authorities."},
    {TlsErrc::certificate_wrong_purpose, "certificate for another purpose",
     "The key usage of the peer's certificate, or of one of its issuers', does not allow this "
     "purpose, such as serverAuth for a server; the certificate must be reissued."},
    {TlsErrc::certificate_weak, "weak certificate",
     "A key in the peer's chain is too short, or a signature uses an old digest; the certificate "
     "must be reissued with RSA of at least 2048 bits or P-256, and with SHA-256 or better."},
    {TlsErrc::certificate_revoked, "certificate revoked",
     "The authority has revoked the peer's certificate; do not trust it."},
    {TlsErrc::certificate_invalid, "invalid certificate",
     "The peer's certificate is malformed, or a signature in its chain is wrong; the peer is "
     "misconfigured or an impostor."},
    {TlsErrc::certificate_missing, "no certificate",
     "The peer sent no certificate although one is required; give the client a certificate, or do "
     "not require it."},
    {TlsErrc::certificate_not_pinned, "certificate is not the pinned one",
     "The peer's public key is not in ContextOptions::pins; if the peer has a new key, pin it, "
     "otherwise the connection may be intercepted."},
    {TlsErrc::refused_by_peer, "refused by the peer",
     "The peer ended the handshake with an alert that states no reason; check its log. Usual "
     "reasons are versions, ciphers and client certificates."},
    {TlsErrc::peer_wants_certificate, "the peer requires a certificate",
     "The peer requires a certificate; add one to ContextOptions::certificates."},
    {TlsErrc::peer_rejects_certificate, "the peer rejects the certificate",
     "The peer rejected the local certificate: it may be expired, for another purpose, or of a "
     "type that the peer does not support."},
    {TlsErrc::peer_does_not_trust, "the peer does not trust the certificate",
     "The peer found no chain from the local certificate to an authority that it trusts; give the "
     "peer the authority's certificate, or send the intermediate certificates."},
    {TlsErrc::peer_knows_no_such_name, "the peer knows no such name",
     "The server has no certificate for the requested name; check the name."},
    {TlsErrc::no_common_version, "no common TLS version",
     "The two sides have no TLS version in common; uaio supports 1.2 and 1.3, within "
     "ContextOptions::min_version and max_version."},
    {TlsErrc::no_common_cipher, "no common cipher",
     "The two sides have no cipher suite, group or signature algorithm in common; check "
     "ContextOptions::ciphers and cipher_suites, and the type of the server's key."},
    {TlsErrc::no_common_protocol, "no common protocol",
     "The two sides have no application protocol (ALPN) in common; check "
     "ContextOptions::protocols."},
    {TlsErrc::not_tls, "not TLS",
     "The peer's bytes are not TLS; it may use plain HTTP on this port."},
    {TlsErrc::bad_record, "bad record",
     "A record could not be decrypted, or is longer than TLS allows; it was corrupted in transit, "
     "or the peer is faulty."},
    {TlsErrc::protocol_violation, "TLS protocol violation",
     "The peer sent an unexpected or malformed TLS message; the peer is faulty or malicious."},
    {TlsErrc::flood, "flood of messages without data",
     "The peer sent more than ContextOptions::idle_messages consecutive messages without data; it "
     "may be an attack."},
    {TlsErrc::internal_error, "internal error of the TLS library",
     "The local or the peer's TLS library reported an internal error; check the peer's log and the "
     "local configuration file of OpenSSL."},
    {TlsErrc::key_used_up, "key used up",
     "The peer requested a key update, or ContextOptions::records_per_key is reached, but kernel "
     "TLS does not accept a second key; connect again, or turn off ContextOptions::offload."},
};
static_assert(std::size(kTlsMeanings) == static_cast<std::size_t>(TlsErrc::key_used_up));

}  // namespace

const std::error_category& tls_category() noexcept {
    static const StaticCategory category("tls", kTlsMeanings);
    return category.get();
}

std::error_code make_error_code(TlsErrc code) noexcept {
    return {static_cast<int>(code), tls_category()};
}

}  // namespace uaio
