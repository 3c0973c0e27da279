// The errors of TLS. Operations of a tls stream end with one of these, or with the error of the
// stream below; Errc::truncated says that the bytes ended without a closing alert. Any thread.
#pragma once

#include <system_error>

namespace uaio {

// The certificate errors are those of this side's verification (RFC 5280, and RFC 9525 for names).
// The peer's verdict on this side's certificate arrives as an alert (RFC 8446 6.2) and is one of
// the peer_ codes or refused_by_peer. In TLS 1.3 a server's alert about a client's certificate
// comes after the client's handshake, so that the first read ends with it. After any of these the
// stream has ended, in both directions.
enum class TlsErrc {
    certificate_expired = 1,    // it, or one above it, has expired
    certificate_not_yet_valid,  // perhaps a clock is wrong
    certificate_name_mismatch,  // it is for another name or address
    certificate_untrusted,      // no chain to an authority that is trusted here
    certificate_self_signed,    // and not trusted here
    certificate_wrong_purpose,  // its key usage does not allow this use
    certificate_weak,           // a key too short or a digest too old
    certificate_revoked,        // by OpenSSL; this library loads no revocation lists
    certificate_invalid,        // not well-formed, a wrong signature, or another fault
    certificate_missing,        // the peer sent none
    // Its public key is none of ContextOptions::pins, whether it was verified or not.
    certificate_not_pinned,
    refused_by_peer,           // an alert without a reason: handshake_failure, access_denied
    peer_wants_certificate,    // certificate_required (RFC 8446 6.2)
    peer_rejects_certificate,  // bad, expired, unknown, revoked or unsupported certificate
    peer_does_not_trust,       // unknown_ca: the peer has no chain to our authority
    peer_knows_no_such_name,   // unrecognized_name (RFC 6066 3)
    no_common_version,         // the two sides allow no version in common
    no_common_cipher,          // no cipher suite, group or signature in common
    no_common_protocol,        // ALPN offered, and none in common (RFC 7301 3.2)
    not_tls,                   // the peer's bytes are another protocol, such as HTTP
    bad_record,                // a record that does not decrypt, or is too long
    protocol_violation,        // a message out of order or malformed, or another fault
    flood,                     // ContextOptions::idle_messages without data in a row
    internal_error,            // of OpenSSL, or the peer's alert of that name
    // A new key is due, and the kernel, which encrypts, takes none: see ContextOptions::offload.
    key_used_up,
};

// The category of TlsErrc; its name() is "tls". Never destroyed, as error_category().
const std::error_category& tls_category() noexcept;

// Lets a TlsErrc convert to std::error_code and compare with one.
[[nodiscard]] std::error_code make_error_code(TlsErrc) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::TlsErrc> : std::true_type {};
