#include "tests/support/far_end.h"

#include <algorithm>

namespace uaio {

std::size_t FarEnd::read_some(std::size_t limit) {
    if (socket_) return socket_->read_some(limit);
    const std::size_t before = peer_->received().size();
    while (end_ == End::open) {
        const std::size_t got = peer_->received().size() - before;
        const std::size_t wanted = std::min(limit - got, peer_->unread());
        if (wanted == 0) break;
        peer_->read_more(wanted);
        kernel_->advance(std::chrono::nanoseconds::zero());
    }
    // As a socket reports its end: after all earlier bytes have been read.
    if (peer_->unread() == 0 && limit > peer_->received().size() - before) {
        if (peer_->saw_reset()) end_ = End::reset;
        if (peer_->saw_fin()) end_ = End::fin;
    }
    return peer_->received().size() - before;
}

std::size_t FarEnd::send_some(std::string_view bytes) {
    if (socket_) return socket_->send_some(bytes);
    peer_->send(bytes);
    return bytes.size();
}

}  // namespace uaio
