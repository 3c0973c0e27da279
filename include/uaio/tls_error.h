// What goes wrong in TLS, as error codes of a category of its own. Operations of a tls stream end
// with one of these, or with what the stream below ended with; Errc::truncated says that the bytes
// stopped without a closing alert. Any thread.
#pragma once

#include <system_error>

namespace uaio {

// The certificate errors are those of this side's verification (RFC 5280, and RFC 9525 for names);
// what the peer says of this side's certificate arrives as refused_by_peer or one of the alerts
// (RFC 8446 6.2) that stand beside it.
enum class TlsErrc {
    certificate_expired = 1,    // its time, or that of one above it, is over
    certificate_not_yet_valid,  // its time has not begun; perhaps a clock is wrong
    certificate_name_mismatch,  // it is for another name or address
    certificate_untrusted,      // no chain to an authority that is trusted here
    certificate_self_signed,    // it vouches for itself, and is not trusted here
    certificate_wrong_purpose,  // its key usage does not allow what it is used for
    certificate_weak,           // a key too short or a digest too old
    certificate_revoked,        // withdrawn
    certificate_invalid,        // not well-formed, a wrong signature, or another fault
    certificate_missing,        // the peer has shown none
    certificate_not_pinned,     // valid, and not one of ContextOptions::pins
    refused_by_peer,            // an alert that says no more: handshake_failure, access_denied
    peer_wants_certificate,     // certificate_required (RFC 8446 6.2)
    peer_rejects_certificate,   // bad, expired, unknown, revoked or unsupported certificate
    peer_does_not_trust,        // unknown_ca: the peer has no chain to our authority
    peer_knows_no_such_name,    // unrecognized_name (RFC 6066 3)
    no_common_version,          // the two sides allow no version in common
    no_common_cipher,           // no cipher suite, group or signature in common
    no_common_protocol,         // ALPN offered, and none in common (RFC 7301 3.2)
    not_tls,                    // the peer's bytes are another protocol
    bad_record,                 // a record that does not decrypt, or is too long
    protocol_violation,         // a message that has no place there, or is not well-formed
    flood,                      // too many messages that carry no data
    internal_error,             // of the TLS library, on either side
    key_used_up,                // a new key is due, and the kernel, which encrypts, takes none
};

// The category of TlsErrc; its name() is "tls".
const std::error_category& tls_category() noexcept;

std::error_code make_error_code(TlsErrc) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::TlsErrc> : std::true_type {};
