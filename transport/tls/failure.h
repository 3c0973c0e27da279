// Converts OpenSSL's errors to this library's error codes. Any thread: each has its own error
// queue.
#pragma once

#include <uaio/error.h>
#include <uaio/tls_error.h>

#include "transport/tls/openssl.h"

#include <string>

namespace uaio::tls {

// Returns why a call on `ssl` failed (SSL_ERROR_SSL, SSL_ERROR_SYSCALL), and empties this thread's
// error queue.
[[nodiscard]] std::error_code take_failure(const SSL* ssl) noexcept;

// Converts the result of a certificate's verification (X509_STORE_CTX_get_error(3)).
[[nodiscard]] std::error_code from_verification(long result) noexcept;

// Throws std::system_error with `what` and the reason in this thread's error queue.
[[noreturn]] void refuse_option(const std::string& what);

// Throws likewise if `text` contains a NUL, at which OpenSSL and the kernel would cut it off.
void refuse_nul(const std::string& what, const std::string& text);

}  // namespace uaio::tls
