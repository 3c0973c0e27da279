#include "transport/tls/hash.h"

#include "transport/tls/openssl.h"

#include <memory>

namespace uaio::tls {

std::string hash_text(std::string_view algorithm, std::string_view text) {
    initialise_openssl();
    const std::string name(algorithm);
    const std::unique_ptr<EVP_MD, decltype(&::EVP_MD_free)> method(
        ::EVP_MD_fetch(nullptr, name.c_str(), nullptr), &::EVP_MD_free);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const bool done =
        method && ::EVP_Digest(text.data(), text.size(), bytes, &size, method.get(), nullptr) == 1;
    if (!done) {
        ::ERR_clear_error();  // the next connection would report it
        return {};
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hexadecimal;
    for (unsigned i = 0; i < size; ++i) {
        hexadecimal += kDigits[bytes[i] >> 4];
        hexadecimal += kDigits[bytes[i] & 15];
    }
    return hexadecimal;
}

}  // namespace uaio::tls
