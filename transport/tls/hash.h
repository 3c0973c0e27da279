// Hashes by algorithm name, for protocols other than TLS, such as Digest authentication. Any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace uaio::tls {

// Returns the hash of `text` in lower-case hexadecimal; `algorithm` is OpenSSL's name ("MD5",
// "SHA-256"). Empty if unavailable: in a build without TLS, or where the system's policy forbids
// it. Throws std::bad_alloc.
std::string hash_text(std::string_view algorithm, std::string_view text);

}  // namespace uaio::tls
