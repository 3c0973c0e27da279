// Certificates for tests, made when they run: an authority with a key of its own, and what it has
// signed. Nothing is kept on disk unless a test writes it there. For one thread.
#pragma once

#include <uaio/tls.h>

#include <string>
#include <vector>

namespace uaio {

enum class TestKey { p256, rsa2048, rsa1024 };

// What a certificate says; the rest is as it should be.
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

    // A certificate that vouches for itself.
    static tls::Certificate self_signed(const TestSubject& subject);
    // "sha256//..." of the key in a certificate.
    static std::string pin_of(const std::string& certificate);

private:
    struct Parts;
    Parts* parts_;
    std::string pem_;
};

// One for all tests of a run: making a key takes a while.
const TestAuthority& test_authority();
// Of that, for localhost.
const tls::Certificate& test_certificate();

}  // namespace uaio
