#include "transport/tls/failure.h"

#include <uaio/argument_error.h>

#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

namespace uaio::tls {
namespace {

// The alerts of RFC 8446 6 that a user can act on.
TlsErrc from_alert(int alert) noexcept {
    switch (alert) {
        case SSL_AD_BAD_RECORD_MAC:
        case SSL_AD_RECORD_OVERFLOW: return TlsErrc::bad_record;
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN: return TlsErrc::peer_rejects_certificate;
        case SSL_AD_UNKNOWN_CA: return TlsErrc::peer_does_not_trust;
        case TLS13_AD_CERTIFICATE_REQUIRED: return TlsErrc::peer_wants_certificate;
        case SSL_AD_UNRECOGNIZED_NAME: return TlsErrc::peer_knows_no_such_name;
        case SSL_AD_PROTOCOL_VERSION: return TlsErrc::no_common_version;
        case SSL_AD_INSUFFICIENT_SECURITY: return TlsErrc::no_common_cipher;
        case SSL_AD_NO_APPLICATION_PROTOCOL: return TlsErrc::no_common_protocol;
        case SSL_AD_INTERNAL_ERROR: return TlsErrc::internal_error;
        case SSL_AD_UNEXPECTED_MESSAGE:
        case SSL_AD_ILLEGAL_PARAMETER:
        case SSL_AD_DECODE_ERROR:
        case SSL_AD_DECRYPT_ERROR:
        case TLS13_AD_MISSING_EXTENSION:
        case SSL_AD_UNSUPPORTED_EXTENSION: return TlsErrc::protocol_violation;
        default: return TlsErrc::refused_by_peer;
    }
}

TlsErrc from_reason(int reason) noexcept {
    switch (reason) {
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_HTTPS_PROXY_REQUEST:
        case SSL_R_RECORD_TOO_SMALL:
        case SSL_R_BAD_RECORD_TYPE: return TlsErrc::not_tls;
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_UNSUPPORTED_SSL_VERSION:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_VERSION_TOO_HIGH:
        case SSL_R_WRONG_SSL_VERSION: return TlsErrc::no_common_version;
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_CIPHERS_AVAILABLE:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_GROUPS:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: return TlsErrc::no_common_cipher;
        case SSL_R_NO_APPLICATION_PROTOCOL: return TlsErrc::no_common_protocol;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return TlsErrc::certificate_missing;
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        case SSL_R_DECRYPTION_FAILED:
        case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
        case SSL_R_DATA_LENGTH_TOO_LONG:
        case SSL_R_PACKET_LENGTH_TOO_LONG: return TlsErrc::bad_record;
        case SSL_R_EE_KEY_TOO_SMALL:
        case SSL_R_CA_KEY_TOO_SMALL:
        case SSL_R_CA_MD_TOO_WEAK:
        case SSL_R_DH_KEY_TOO_SMALL: return TlsErrc::certificate_weak;
        default: return TlsErrc::protocol_violation;
    }
}

}  // namespace

std::error_code from_verification(long result) noexcept {
    switch (result) {
        case X509_V_ERR_CERT_HAS_EXPIRED: return TlsErrc::certificate_expired;
        case X509_V_ERR_CERT_NOT_YET_VALID: return TlsErrc::certificate_not_yet_valid;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH: return TlsErrc::certificate_name_mismatch;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return TlsErrc::certificate_self_signed;
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED: return TlsErrc::certificate_untrusted;
        case X509_V_ERR_INVALID_PURPOSE:
        case X509_V_ERR_INVALID_CA:
        case X509_V_ERR_CERT_REJECTED:
        case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return TlsErrc::certificate_wrong_purpose;
        case X509_V_ERR_EE_KEY_TOO_SMALL:
        case X509_V_ERR_CA_KEY_TOO_SMALL:
        case X509_V_ERR_CA_MD_TOO_WEAK: return TlsErrc::certificate_weak;
        case X509_V_ERR_CERT_REVOKED: return TlsErrc::certificate_revoked;
        case X509_V_ERR_OUT_OF_MEM: return Errc::not_enough_memory;
        default: return TlsErrc::certificate_invalid;
    }
}

std::error_code take_failure(const SSL* ssl) noexcept {
    // Errors of the layers below SSL come first in the queue, and are less specific.
    unsigned long error = 0;
    while (const unsigned long next = ERR_get_error()) {
        error = next;
        if (ERR_GET_REASON(next) == ERR_R_MALLOC_FAILURE) break;
        if (ERR_GET_LIB(next) == ERR_LIB_SSL) break;
    }
    ERR_clear_error();
    const int reason = ERR_GET_REASON(error);
    if (reason == ERR_R_MALLOC_FAILURE) return Errc::not_enough_memory;
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) return TlsErrc::internal_error;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        return from_verification(SSL_get_verify_result(ssl));
    }
    if (reason == ERR_R_INTERNAL_ERROR) return TlsErrc::internal_error;
    if (reason >= SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255)
        return from_alert(reason - SSL_AD_REASON_OFFSET);
    return from_reason(reason);
}

void refuse_option(const std::string& what) {
    const unsigned long error = ERR_peek_error();
    ERR_clear_error();
    std::error_code code = ArgumentErrc::invalid_option;
    std::string reason = ": not usable";
    if (ERR_SYSTEM_ERROR(error)) {
        code = {ERR_GET_REASON(error), std::system_category()};
        reason.clear();
    } else if (const char* const text = ERR_reason_error_string(error)) {
        reason = std::string(": ") + text;
    }
    throw std::system_error(code, "uaio: tls: " + what + reason);
}

void refuse_nul(const std::string& what, const std::string& text) {
    if (text.find('\0') == std::string::npos) return;
    throw std::system_error(make_error_code(ArgumentErrc::invalid_option),
                            "uaio: tls: " + what + " contains a NUL");
}

}  // namespace uaio::tls
