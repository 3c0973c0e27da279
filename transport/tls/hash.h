// Hashes by name, for protocols that need one beside TLS, such as Digest authentication. Any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace uaio::tls {

// The hash of `text` in lower-case hexadecimal, by OpenSSL's name for it ("MD5", "SHA-256"). Empty
// if there is none: in a build without TLS, or where the system's policy forbids it. Throws
// std::bad_alloc.
std::string hash_text(std::string_view algorithm, std::string_view text);

}  // namespace uaio::tls
