#include <uaio/tls_error.h>

#include "base/error_table.h"

namespace uaio {
namespace {

constexpr ErrorMeaning kMeanings[] = {
    {TlsErrc::certificate_expired, "certificate expired",
     "The peer's certificate, or one above it, is no longer valid; whoever runs the peer has to "
     "renew it. If it was renewed, look at this machine's clock."},
    {TlsErrc::certificate_not_yet_valid, "certificate not yet valid",
     "The peer's certificate is not valid yet; this machine's clock may be behind."},
    {TlsErrc::certificate_name_mismatch, "certificate is for another name",
     "The peer's certificate is valid, but not for the name that was asked for; check the name, or "
     "get a certificate that lists it as a subject alternative name."},
    {TlsErrc::certificate_untrusted, "certificate of an unknown authority",
     "No chain leads from the peer's certificate to an authority that is trusted here; give the "
     "authority's certificate in ContextOptions::authorities, or have the peer send the ones "
     "between."},
    {TlsErrc::certificate_self_signed, "self-signed certificate",
     "The peer's certificate, or the root it sent, vouches for itself and is not trusted here; if "
     "it is the right one, give it in ContextOptions::authorities."},
    {TlsErrc::certificate_wrong_purpose, "certificate for another purpose",
     "The key usage in the peer's certificate, or in one above it, does not allow what it is used "
     "for, such as serverAuth for a server; it has to be issued anew."},
    {TlsErrc::certificate_weak, "weak certificate",
     "A key in the peer's chain is too short or a signature uses an old digest; it has to be "
     "issued anew, with 2048 bits of RSA or more, or P-256, and SHA-256 or better."},
    {TlsErrc::certificate_revoked, "certificate revoked",
     "The authority has withdrawn the peer's certificate; do not trust it."},
    {TlsErrc::certificate_invalid, "invalid certificate",
     "The peer's certificate is not well-formed, or a signature in its chain is wrong; the peer is "
     "set up wrongly, or is not who it claims to be."},
    {TlsErrc::certificate_missing, "no certificate",
     "The peer has to show a certificate, and did not; give the client one, or do not ask for "
     "it."},
    {TlsErrc::certificate_not_pinned, "certificate is not the pinned one",
     "The peer's public key is none of ContextOptions::pins; if the peer has a new key, pin that, "
     "else somebody stands between."},
    {TlsErrc::refused_by_peer, "refused by the peer",
     "The peer ended the handshake with an alert that gives no reason; its log may. Versions, "
     "ciphers and client certificates are the usual ones."},
    {TlsErrc::peer_wants_certificate, "the peer wants a certificate",
     "The peer asks for a certificate of this side; give one in ContextOptions::certificates."},
    {TlsErrc::peer_rejects_certificate, "the peer rejects the certificate",
     "The peer does not accept the certificate of this side: it may be expired, for another "
     "purpose, or of a kind that the peer does not know."},
    {TlsErrc::peer_does_not_trust, "the peer does not trust the certificate",
     "The peer knows no chain from this side's certificate to an authority that it trusts; give "
     "the peer the authority's certificate, or send the ones between."},
    {TlsErrc::peer_knows_no_such_name, "the peer knows no such name",
     "The server has no certificate for the name that was asked for; check the name."},
    {TlsErrc::no_common_version, "no common TLS version",
     "The two sides allow no version of TLS in common; uaio speaks 1.2 and 1.3, within "
     "ContextOptions::min_version and max_version."},
    {TlsErrc::no_common_cipher, "no common cipher",
     "The two sides have no cipher suite, group or signature in common; look at "
     "ContextOptions::ciphers and cipher_suites, and at the kind of the server's key."},
    {TlsErrc::no_common_protocol, "no common protocol",
     "The two sides name no application protocol in common (ALPN); look at "
     "ContextOptions::protocols."},
    {TlsErrc::not_tls, "not TLS",
     "The peer's bytes are not TLS; it may speak plain HTTP on this port."},
    {TlsErrc::bad_record, "bad record",
     "A record could not be decrypted, or is longer than TLS allows; bytes were changed on their "
     "way, or the peer is broken."},
    {TlsErrc::protocol_violation, "TLS protocol violation",
     "The peer sent a message that TLS does not allow there, or one that is not well-formed; the "
     "peer is broken, or hostile."},
    {TlsErrc::flood, "flood of messages without data",
     "The peer sent more than ContextOptions::idle_messages messages in a row that carry no data, "
     "which costs this side work and gets nobody anywhere; it may be an attack."},
    {TlsErrc::internal_error, "internal error of the TLS library",
     "The TLS library of this side or of the peer reports an error of its own; look at the peer's "
     "log, and at OpenSSL's configuration file here."},
    {TlsErrc::key_used_up, "key used up",
     "The peer asked for a new key, or ContextOptions::records_per_key is reached, and the kernel, "
     "which encrypts what is sent, takes no other; connect again, or turn off "
     "ContextOptions::offload."},
};

}  // namespace

const std::error_category& tls_category() noexcept {
    static const StaticCategory category("tls", kMeanings);
    return category.get();
}

std::error_code make_error_code(TlsErrc code) noexcept {
    return {static_cast<int>(code), tls_category()};
}

}  // namespace uaio
