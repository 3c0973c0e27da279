#include "transport/http/continue_sender.h"

#include "base/check.h"
#include "transport/http/session.h"

#include <new>
#include <string_view>

namespace uaio::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

void ContinueSender::send(Session& session, Stream& stream) noexcept {
    DCHECK(!sending_);
    if (!aio_) {
        aio_.reset(new (std::nothrow) Aio(session.engine(), [this, &session](Aio&) {
            sending_ = false;
            session.destroy_if_idle();  // may free this
        }));
        if (!aio_) return;
    }
    aio_->set_timeout(session.send_timeout());
    aio_->set_iov(kContinue.data(), kContinue.size());
    sending_ = true;
    stream.write_all(*aio_);
}

}  // namespace uaio::http
