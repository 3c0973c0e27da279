#include "engine/kernel/sim/sim_channel.h"

#include "base/check.h"

#include <algorithm>

namespace uaio {

// The sum of the pieces is left out: there can be one a byte.
bool SimChannel::invariants_hold() const noexcept {
    if (pieces_.empty()) return size_ == 0 && arrived_ == 0;
    const auto holds_bytes = [](const Piece& piece) {
        return piece.begin < piece.end && (piece.lent != nullptr) == (piece.lender != nullptr);
    };
    return arrived_ <= size_ && holds_bytes(pieces_.front()) && holds_bytes(pieces_.back());
}

void SimChannel::append(std::string bytes) {
    const std::size_t size = bytes.size();
    if (size == 0) return;
    size_ += size;
    pieces_.push_back({std::move(bytes), nullptr, nullptr, 0, size});
    DCHECK(invariants_hold());
}

void SimChannel::append_lent(std::span<const iovec> bytes, SimLender& lender) {
    for (const iovec& part : bytes) {
        if (part.iov_len == 0) continue;
        size_ += part.iov_len;
        pieces_.push_back({{}, static_cast<const char*>(part.iov_base), &lender, 0, part.iov_len});
        DCHECK(invariants_hold());
    }
}

void SimChannel::arrive(std::size_t bytes) noexcept { arrived_ += std::min(bytes, under_way()); }

std::size_t SimChannel::take(std::size_t limit, std::string* out) {
    DCHECK(invariants_hold());
    const std::size_t total = std::min(limit, arrived_);
    for (std::size_t left = total; left > 0;) {
        Piece& piece = pieces_.front();
        const std::size_t part = std::min(left, piece.end - piece.begin);
        if (out) out->append((piece.lent ? piece.lent : piece.own.data()) + piece.begin, part);
        piece.begin += part;
        size_ -= part;
        arrived_ -= part;
        left -= part;
        SimLender* const lender = piece.lender;
        if (piece.begin == piece.end) pieces_.pop_front();
        DCHECK(invariants_hold());
        if (lender) lender->give_back(part);
    }
    return total;
}

void SimChannel::drop_under_way() {
    while (under_way() > 0) {
        Piece& piece = pieces_.back();
        const std::size_t part = std::min(under_way(), piece.end - piece.begin);
        piece.end -= part;
        size_ -= part;
        SimLender* const lender = piece.lender;
        if (piece.begin == piece.end) pieces_.pop_back();
        DCHECK(invariants_hold());
        if (lender) lender->give_back(part);
    }
}

void SimChannel::drop_all() {
    take(arrived_, nullptr);
    drop_under_way();
    DCHECK(size_ == 0 && pieces_.empty());
}

}  // namespace uaio
