// Hashes by name, against the examples of their RFCs, and Digest with them against RFC 7616 3.9.1.
#include "transport/proxy/digest.h"
#include "transport/tls/hash.h"

#include <doctest/doctest.h>

namespace uaio::tls_hash_test {

using tls::hash_text;

TEST_CASE("hashes equal the examples of their RFCs") {
    CHECK(hash_text("MD5", "abc") == "900150983cd24fb0d6963f7d28e17f72");  // RFC 1321 A.5
    CHECK(hash_text("SHA-256", "abc") ==                                   // RFC 6234 8.5
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hash_text("MD5", "") == "d41d8cd98f00b204e9800998ecf8427e");
    CHECK(hash_text("no such hash", "abc").empty());
}

TEST_CASE("Digest responses equal the examples of RFC 7616") {
    const auto answer = [](const char* algorithm) {
        const auto challenges = proxy::parse_challenges(
            {"Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=" +
             std::string(algorithm) +
             ", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
             "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""});
        return proxy::answer_digest(challenges.at(0),
                                    {.user = "Mufasa",
                                     .password = "Circle of Life",
                                     .method = "GET",
                                     .uri = "/dir/index.html",
                                     .client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                                     .count = 1},
                                    &hash_text);
    };
    CHECK(answer("MD5").find("response=\"8ca523f5e9506fed4657c9700eebdbec\"") != std::string::npos);
    CHECK(answer("SHA-256").find(
              "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
              "\"") != std::string::npos);
}

}  // namespace uaio::tls_hash_test
