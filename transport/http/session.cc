#include "transport/http/session.h"

#include <uaio/provider.h>

#include "engine/deadline.h"
#include "transport/http/send_allowance.h"

#include <algorithm>
#include <new>
#include <utility>

namespace uaio::http {

Session::Session(EngineCore& core, Stream& stream, const ConnectionOptions& options) noexcept
    : EngineObject(core),
      options_(options),
      source_(*this, stream),
      sink_(*this, stream),
      send_timeout_(options.send_timeout) {
    enroll();
}

void Session::release(StreamPtr stream) noexcept {
    close();
    // In a child of fork(2) the session stays allocated, and the stream closes the child's
    // descriptor.
    DCHECK(!stream_);
    {
        const Arrival arrival(*this);
        if (arrival && core().is_forked()) return;
    }
    stream_ = std::move(stream);
    EngineObject::release();
}

void Session::detach() noexcept {
    DCHECK(!busy() && !stream_);
    source_.attach(nullptr);
    sink_.attach(nullptr);
    forget_trailer();
    if (is_between_messages()) [[likely]] {
        // The next message overwrites the rest; but memory that only a large one needed goes.
        source_.buffer().clear();
        source_.content() = {};
        return;
    }
    source_.reset();
    sink_.reset();
    unknown_expectation_ = false;
    closed_.store(false, std::memory_order_relaxed);
    DCHECK(is_between_messages());
}

void Session::close_here() noexcept {
    close();
    if (stream_) stream_->close();
}

void Session::on_engine_destroyed(bool idle) noexcept {
    source_.drop(idle);
    if (!idle) return;
    sink_.drop_aio();
}

bool Session::took_request(const RequestHead& head) noexcept {
    unknown_expectation_ = head.unknown_expectation;
    return sink_.pending().push(head);
}

void Session::took_trailer(const FieldViews& fields) noexcept {
    trailer_.clear();
    // Drops a field that is invalid or for which memory is lacking: a recipient may ignore any
    // trailer field (RFC 9110 6.5.1).
    for (const auto [name, value] : fields) {
        if (!is_folded(value)) {
            static_cast<void>(trailer_.add(name, value));
            continue;
        }
        try {
            static_cast<void>(trailer_.add(name, unfold(value)));
        } catch (const std::bad_alloc&) {
            continue;
        }
    }
}

void Session::drop_trailer() noexcept {
    const Headers dropped(std::move(trailer_));  // its memory, too: an assignment may keep it
    trailer_.clear();
}

std::int64_t Session::head_deadline_ns() noexcept {
    // 0 is no deadline: see MessageSource.
    return std::max<std::int64_t>(deadline_after(core().now_ns(), options_.head_timeout), 1);
}

void Session::limit_sending(Aio& aio, std::size_t bytes) noexcept {
    if (send_timeout_ == kNoTimeout) return;
    Provider::limit_deadline(aio,
                             deadline_after(core().now_ns(), send_allowance(send_timeout_, bytes)));
}

void Session::limit_idle(Aio& aio) noexcept { limit(aio, idle_timeout_); }

void Session::limit_content(Aio& aio) noexcept { limit(aio, content_timeout_); }

void Session::limit(Aio& aio, std::chrono::nanoseconds timeout) noexcept {
    if (timeout == kNoTimeout || Provider::has_deadline(aio)) return;
    Provider::limit_deadline(aio, deadline_after(core().now_ns(), timeout));
}

}  // namespace uaio::http
