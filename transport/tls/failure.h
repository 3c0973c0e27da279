// What OpenSSL reports, as the error codes of this library. Any thread: the queue is the thread's.
#pragma once

#include <uaio/error.h>
#include <uaio/tls_error.h>

#include "transport/tls/openssl.h"

#include <string>

namespace uaio::tls {

// Why a call on `ssl` failed (SSL_ERROR_SSL, SSL_ERROR_SYSCALL), from this thread's error queue,
// which is empty afterwards.
std::error_code take_failure(const SSL* ssl) noexcept;

// What a certificate's verification ended with (X509_STORE_CTX_get_error(3)).
std::error_code from_verification(long result) noexcept;

// Throws std::system_error with what this thread's error queue says, after `what`.
[[noreturn]] void refuse_option(const std::string& what);

// Does so for a text with a NUL, of which OpenSSL and the kernel would read what stands before it.
void refuse_nul(const std::string& what, const std::string& text);

}  // namespace uaio::tls
