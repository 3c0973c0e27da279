#include "transport/socket/zero_copy.h"

#include <uaio/config.h>
#include <uaio/endpoint.h>

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace uaio {
namespace {

// Below this a second completion and the pinning of pages cost more than the copy, wherever the
// bytes are.
constexpr std::size_t kLeastBytes = 8192;
// Each entry costs the pinning of its pages, and fragments of packets, of which one has 17
// (MAX_SKB_FRAGS).
constexpr std::size_t kLeastBytesPerEntry = 4096;

// Large writes that are copied after a report of a copy, before the next trial: twice as many after
// each trial that fails, so that trials cost less than one send in a hundred in the end.
constexpr std::uint32_t kShortestPause = 32;
constexpr std::uint32_t kLongestPause = 1 << 15;

// A proven connection reports single copies, such as of a packet that was sent again.
constexpr std::uint8_t kCopiesInARow = 4;

// The gain of a zero-copy send is the time of the copy, about a nanosecond for 16 bytes. A stream
// that stands idle for longer than that loses, since a copying one would have sent on. One such
// wait may be due to the scheduler; three in a period have a cause that lasts.
constexpr std::uint64_t kBytesCopiedPerNs = 16;
constexpr std::int64_t kToleratedWaitNs = 20'000;
constexpr std::uint8_t kLongWaits = 3;
constexpr std::uint8_t kPeriod = 64;  // releases
static_assert(kShortestPause < kLongestPause && kLeastBytes <= kZeroCopyBytes);

bool is_loopback(const in_addr& address) noexcept {
    return (ntohl(address.s_addr) >> IN_CLASSA_NSHIFT) == IN_LOOPBACKNET;
}

// The address alone, IPv4 in its mapped form.
bool read_address(const sockaddr_storage& address, in6_addr& out) noexcept {
    if (address.ss_family == AF_INET6) {
        out = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
        return true;
    }
    if (address.ss_family != AF_INET) return false;
    out = {};
    out.s6_addr[10] = out.s6_addr[11] = 0xff;
    std::memcpy(&out.s6_addr[12], &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
    return true;
}

// True for a tcp connection to another host. The receiving side of the loopback copies every packet
// (skb_orphan_frags_rx() in the kernel), and other kinds of sockets have no zero-copy sends.
bool leaves_host(Kernel& kernel, int fd) noexcept {
    sockaddr_storage local{};
    sockaddr_storage peer{};
    socklen_t local_size = sizeof local;
    socklen_t peer_size = sizeof peer;
    if (kernel.peer_address(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) < 0 ||
        kernel.local_address(fd, reinterpret_cast<sockaddr*>(&local), &local_size) < 0) {
        return false;
    }
    in6_addr here{};
    in6_addr there{};
    if (!read_address(local, here) || !read_address(peer, there)) return false;
    if (IN6_ARE_ADDR_EQUAL(&here, &there) || IN6_IS_ADDR_LOOPBACK(&there)) return false;
    in_addr v4{};
    std::memcpy(&v4, &there.s6_addr[12], sizeof v4);
    return !IN6_IS_ADDR_V4MAPPED(&there) || !is_loopback(v4);
}

}  // namespace

// Without memory for a history, every write is copied.
ZeroCopyChoice::ZeroCopyChoice(ZeroCopy option, const Features& features) noexcept {
    if (!features.sendmsg_zero_copy) return;
    if (option == ZeroCopy::on) least_ = kLeastBytes;
    if (option != ZeroCopy::automatic || !features.report_zero_copy_usage) return;
    history_.reset(new (std::nothrow) History);
    if (!history_) return;
    history_->pause = kShortestPause;
    least_ = kZeroCopyBytes;
}

bool ZeroCopyChoice::invariants_hold() const noexcept {
    if (!history_) return true;
    if (history_->pause < kShortestPause || history_->pause > kLongestPause) return false;
    return history_->releases < kPeriod &&
           (history_->left > 0) == (history_->state == State::paused);
}

bool ZeroCopyChoice::should_send(Kernel& kernel, int fd, const Send& send) noexcept {
    DCHECK(may_send(send.bytes) && send.entries > 0 && invariants_hold());
    if (!history_) return true;  // ZeroCopy::on
    if (history_->state == State::unknown) {
        if (!leaves_host(kernel, fd)) {
            end();
            return false;
        }
        history_->state = State::trial;
    }
    if (history_->wait_ns > 0) count_wait(send.now_ns);
    // A deadline could not end a write that waits for the peer's acknowledgement.
    if (send.has_deadline || send.bytes / send.entries < kLeastBytesPerEntry) return false;
    if (history_->state == State::paused) {
        if (--history_->left > 0) return false;
        history_->state = State::trial;
    }
    return history_->state == State::proven || history_->unreported == 0;
}

void ZeroCopyChoice::on_end_without_notification() noexcept {
    if (!history_) return;
    DCHECK(history_->unreported > 0);
    --history_->unreported;
}

void ZeroCopyChoice::on_notification(bool copied) noexcept {
    if (!history_) return;
    on_end_without_notification();
    history_->copied = copied ? static_cast<std::uint8_t>(history_->copied + 1) : 0;
    if (history_->state == State::trial) {
        copied ? pause() : prove();
    } else if (history_->state == State::proven && history_->copied >= kCopiesInARow) {
        pause();
    }
}

void ZeroCopyChoice::on_no_memory() noexcept {
    if (is_automatic() && history_->state != State::paused) pause();
}

void ZeroCopyChoice::pause() noexcept {
    DCHECK(history_->state != State::paused && invariants_hold());
    history_->state = State::paused;
    history_->left = history_->pause;
    history_->pause = std::min(history_->pause * 2, kLongestPause);
}

void ZeroCopyChoice::prove() noexcept {
    DCHECK(history_->state == State::trial && history_->copied == 0);
    history_->state = State::proven;
    history_->releases = 0;
    history_->long_waits = 0;
    history_->bytes = 0;
    history_->wait_ns = 0;
}

void ZeroCopyChoice::on_release(std::size_t bytes, bool idle, std::int64_t now_ns) noexcept {
    DCHECK(is_automatic());
    if (history_->state != State::proven) return;
    history_->bytes += bytes;
    if (idle) {
        history_->released_ns = now_ns;
        history_->wait_ns = std::max<std::int64_t>(now_ns - history_->idle_since_ns, 0);
    }
    if (++history_->releases < kPeriod) return;
    history_->releases = 0;
    history_->long_waits = 0;
    history_->pause = kShortestPause;  // a whole period without a reason to pause
    DCHECK(invariants_hold());
}

// A program that writes soon after the release waited for it: it would have written earlier to a
// stream that copies. One that writes later waited for something else.
void ZeroCopyChoice::count_wait(std::int64_t now_ns) noexcept {
    DCHECK(history_->wait_ns > 0);
    const bool waited = now_ns - history_->released_ns <= history_->wait_ns;
    const auto gained_ns = static_cast<std::int64_t>(history_->bytes / kBytesCopiedPerNs);
    const bool too_long = waited && history_->wait_ns > gained_ns + kToleratedWaitNs;
    history_->wait_ns = 0;
    if (history_->state != State::proven || !too_long) return;
    history_->bytes = 0;
    if (++history_->long_waits >= kLongWaits) pause();
}

}  // namespace uaio
