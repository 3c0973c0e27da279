// Sends "100 Continue" (RFC 9110 10.1.1), with an Aio of its own, since no operation of the user
// waits for it. Engine's thread only.
#pragma once

#include <uaio/aio.h>
#include <uaio/stream.h>

#include "base/check.h"

#include <memory>

namespace uaio::http {

class Session;

class ContinueSender {
public:
    // Has no effect without memory: a client continues by itself after a while. REQUIRES: !busy().
    void send(Session& session, Stream& stream) noexcept;
    bool busy() const noexcept { return sending_; }
    // Called when the engine is destroyed: no Aio may remain.
    void drop_aio() noexcept {
        DCHECK(!sending_);
        aio_.reset();
    }

private:
    std::unique_ptr<Aio> aio_;  // created on first use
    bool sending_ = false;
};

}  // namespace uaio::http
