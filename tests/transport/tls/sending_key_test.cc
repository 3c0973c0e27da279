// The key for the kernel: its sequence number is that of the next record, or there is no key.
#include "transport/tls/sending_key.h"

#include "transport/tls/openssl.h"

#include <linux/tls.h>

#include <cstring>
#include <string>

#include <doctest/doctest.h>

namespace uaio::sending_key_test {

using tls::SendingKey;

template <class Info>
Info made(unsigned version, unsigned cipher) {
    Info info;
    std::memset(&info, 0x11, sizeof info);
    info.info.version = static_cast<unsigned short>(version);
    info.info.cipher_type = static_cast<unsigned short>(cipher);
    std::memset(info.rec_seq, 0, sizeof info.rec_seq);
    return info;
}

std::string record(char type, const std::string& content) {
    const std::size_t size = content.size();
    return std::string{type, 3, 3, static_cast<char>(size >> 8), static_cast<char>(size)} + content;
}

void count(SendingKey& key, const std::string& bytes, std::size_t piece) {
    for (std::size_t at = 0; at < bytes.size(); at += piece)
        key.count(std::as_bytes(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at))));
}

constexpr char kData = SSL3_RT_APPLICATION_DATA;
constexpr char kHandshake = SSL3_RT_HANDSHAKE;

using Aes128 = tls12_crypto_info_aes_gcm_128;
using Aes256 = tls12_crypto_info_aes_gcm_256;

TEST_CASE("a SendingKey counts records whatever the pieces of their bytes") {
    for (std::size_t piece = 1; piece < 700; ++piece) {
        SendingKey key;
        CHECK(!key.known());
        Aes256 info = made<Aes256>(TLS1_3_VERSION, TLS_CIPHER_AES_GCM_256);
        info.rec_seq[7] = 0xfe;
        key.keep(&info);
        CHECK(key.known());
        const std::string bytes =
            record(kData, std::string(300, 'a')) + record(kData, "") + record(kData, "c");
        count(key, bytes, piece);
        REQUIRE(key.known());
        info.rec_seq[6] = 1;
        info.rec_seq[7] = 1;
        const auto next = key.for_next_record();
        REQUIRE(next.size() == sizeof info);
        CHECK(std::memcmp(next.data(), &info, sizeof info) == 0);
        // In the middle of a record there is no next record.
        count(key, record(kData, "more").substr(0, 1 + piece % 8), piece);
        CHECK(!key.known());
    }
}

TEST_CASE("a record with an unexpected nonce invalidates a SendingKey") {
    Aes128 info = made<Aes128>(TLS1_2_VERSION, TLS_CIPHER_AES_GCM_128);
    std::memcpy(info.iv, "nonce\0\0\xff", 8);
    SendingKey key;
    key.keep(&info);
    const std::string first("nonce\0\0\xff", 8);
    const std::string second("nonce\0\1\0", 8);
    count(key, record(kHandshake, first + "finished") + record(kData, second), 3);
    REQUIRE(key.known());
    std::memcpy(info.iv, "nonce\0\1\1", 8);
    info.rec_seq[7] = 2;
    CHECK(std::memcmp(key.for_next_record().data(), &info, sizeof info) == 0);
    count(key, record(kData, second + "again"), 3);
    CHECK(!key.known());
}

TEST_CASE("a record that the key did not encrypt invalidates a SendingKey") {
    const Aes128 newer = made<Aes128>(TLS1_3_VERSION, TLS_CIPHER_AES_GCM_128);
    const Aes128 older = made<Aes128>(TLS1_2_VERSION, TLS_CIPHER_AES_GCM_128);
    const Aes128 unknown = made<Aes128>(TLS1_3_VERSION, TLS_CIPHER_AES_CCM_128);
    SendingKey key;
    key.keep(&newer);
    count(key, record(kHandshake, "not encrypted"), 100);
    CHECK(!key.known());
    key.keep(&older);
    count(key, record(kData, "short") + "next", 100);
    CHECK(!key.known());
    key.keep(&unknown);
    CHECK(!key.known());
    key.keep(&newer);
    key.forget();
    CHECK(!key.known());
    CHECK(key.for_next_record().empty());
}

}  // namespace uaio::sending_key_test
