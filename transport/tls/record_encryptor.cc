#include "transport/tls/record_encryptor.h"

#include "base/check.h"
#include "transport/tls/channel.h"
#include "transport/tls/failure.h"

#include <algorithm>

namespace uaio::tls {
namespace {

// Maximum overhead of a record: RFC 5246 6.2.3 allows more for compression, which is never used.
constexpr std::size_t kRecordOverhead = SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_ENCRYPTED_OVERHEAD;

// Fits into one packet, with the headers of TCP over IPv6 and its options.
constexpr std::size_t kSmallRecord = 1360;
static_assert(kSmallRecord <= RecordEncryptor::kRecordMax);

constexpr std::int64_t kIdleNs = 1'000'000'000;

}  // namespace

std::size_t RecordEncryptor::Plan::data_in(std::span<const std::byte> sent,
                                           std::size_t data) const noexcept {
    std::size_t whole = 0;
    for (std::size_t at = control; at + SSL3_RT_HEADER_LENGTH <= sent.size();) {
        DCHECK(sent[at] == std::byte{SSL3_RT_APPLICATION_DATA});
        const auto high = std::to_integer<std::size_t>(sent[at + 3]);
        const auto low = std::to_integer<std::size_t>(sent[at + 4]);
        at += SSL3_RT_HEADER_LENGTH + (high << 8 | low);
        if (at > sent.size()) break;
        whole += std::min(record, data - whole);
    }
    return whole;
}

void RecordEncryptor::open() noexcept {
    DCHECK(channel_.open() && record_max_ == 0 && records_of_key_ == 0);
    small_left_ = channel_.options().small_record_bytes;
    record_max_ = kRecordMax;
    // RFC 6066 4: max_fragment_length of the client, 2^9 to 2^12.
    const int code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(channel_.ssl()));
    if (code >= 1 && code <= 4) record_max_ = std::size_t{256} << code;
}

std::uint64_t RecordEncryptor::key_limit() const noexcept {
    const bool replaceable = SSL_version(channel_.ssl()) == TLS1_3_VERSION;
    return replaceable ? channel_.options().records_per_key : 0;
}

bool RecordEncryptor::replace_key() noexcept {
    SSL* const ssl = channel_.ssl();
    clear_errors();
    records_of_key_ = 0;
    if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1) {
        return true;
    }
    channel_.fail(take_failure(ssl));
    return false;
}

// Bytes of data in each of the next records.
std::size_t RecordEncryptor::record_size() noexcept {
    const std::int64_t now = channel_.core().now_ns();
    if (now - last_ns_ > kIdleNs) small_left_ = channel_.options().small_record_bytes;
    last_ns_ = now;
    return small_left_ > 0 ? std::min(kSmallRecord, record_max_) : record_max_;
}

bool RecordEncryptor::plan(std::size_t left, Plan& plan) noexcept {
    DCHECK(channel_.open() && record_max_ > 0 && left > 0);
    const std::uint64_t key_limit = this->key_limit();
    if (key_limit > 0 && records_of_key_ >= key_limit && !replace_key()) return false;
    ByteBuffer& out = channel_.buffers().out;
    plan = {.control = out.size(), .record = record_size(), .limit = std::min(left, kBatchBytes)};
    if (plan.record < record_max_) plan.limit = std::min(plan.limit, small_left_);
    std::uint64_t records = (plan.limit + plan.record - 1) / plan.record;
    if (key_limit > 0) records = std::min(records, key_limit - records_of_key_);
    plan.limit = std::min<std::uint64_t>(plan.limit, records * plan.record);
    DCHECK(plan.limit > 0 && has_key_for(records));
    if (!out.prepare(plan.limit + records * kRecordOverhead).empty()) return true;
    channel_.fail(Errc::not_enough_memory);
    return false;
}

bool RecordEncryptor::encrypt(const void* data, std::size_t size) noexcept {
    DCHECK(size > 0 && size <= record_max_ && has_key_for(1));
    ByteBuffer& out = channel_.buffers().out;
    const std::size_t before = out.size();
    clear_errors();
    std::size_t written = 0;
    const int result = SSL_write_ex(channel_.ssl(), data, size, &written);
    if (result == 1 && written == size) {
        DCHECK(out.size() - before > size && out.size() - before <= size + kRecordOverhead);
        ++records_of_key_;
        small_left_ -= std::min(small_left_, size);
        return true;
    }
    out.clear();  // nothing may be sent after the failure
    channel_.fail(take_failure(channel_.ssl()));
    return false;
}

}  // namespace uaio::tls
