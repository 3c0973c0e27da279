// When the first byte of a response arrived, compared with its request: a byte that arrived before
// the request was sent may belong to the response to another request. For a client, which has one
// request at a time. Engine's thread.
#pragma once

#include "base/check.h"

#include <cstdint>

namespace uaio::http {

class ResponseArrival {
public:
    // Called before and after a request is written.
    void begin_exchange() noexcept { arrived_ = request_sent_ = early_ = false; }
    void request_sent() noexcept {
        DCHECK(!request_sent_);
        request_sent_ = true;
    }
    // Called when bytes of a response are there; `enters` counts the kernel entries so far.
    void note(std::uint64_t enters) noexcept {
        DCHECK(enters >= enters_);
        if (arrived_) return;
        arrived_ = true;
        early_ = !request_sent_;
        enters_ = enters;
    }

    // The first byte arrived before request_sent().
    bool is_early() const noexcept { return early_; }
    // It arrived by the kernel entry of that number, before the kernel received the request.
    bool was_before(std::uint64_t enters) const noexcept { return arrived_ && enters_ <= enters; }

private:
    std::uint64_t enters_ = 0;
    bool arrived_ = false;
    bool request_sent_ = false;  // the whole request
    bool early_ = false;
};

}  // namespace uaio::http
