// Certificates for tests, generated at run time: an authority with its own key, and certificates
// that it signs. Writes nothing to disk unless a test does. For one thread.
#pragma once

#include <uaio/tls.h>

#include <string>
#include <vector>

namespace uaio {

enum class TestKey { p256, rsa2048, rsa1024 };

// The fields of a certificate; all others are valid.
struct TestSubject {
    std::string name = "localhost";                                      // the common name
    std::vector<std::string> names = {"DNS:localhost", "IP:127.0.0.1"};  // alternative names
    TestKey key = TestKey::p256;
    int from_days = -1;  // valid from, in days from now
    int to_days = 30;
    std::string usage = "serverAuth,clientAuth";
    bool authority = false;
    bool sha1 = false;
};

class TestAuthority {
public:
    explicit TestAuthority(const std::string& name = "uaio test authority");
    ~TestAuthority();
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;

    // Its own certificate, in PEM.
    const std::string& certificate() const { return pem_; }
    // A certificate and its key, in PEM. With a password the key is encrypted.
    tls::Certificate issue(const TestSubject& subject = {}, const std::string& password = {}) const;

    // A self-signed certificate.
    static tls::Certificate self_signed(const TestSubject& subject);
    // "sha256//..." of the key in a certificate.
    static std::string pin_of(const std::string& certificate);

private:
    struct Parts;
    Parts* parts_;
    std::string pem_;
};

// One for all tests of a run: generating a key takes a while.
const TestAuthority& test_authority();
// Signed by it, for localhost.
const tls::Certificate& test_certificate();

}  // namespace uaio
