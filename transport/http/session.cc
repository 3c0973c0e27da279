#include "transport/http/session.h"

#include "engine/deadline.h"
#include "transport/http/send_allowance.h"

#include <new>

namespace uaio::http {

Session::Session(EngineCore& core, Stream& stream, const ConnectionOptions& options) noexcept
    : core_(core),
      options_(options),
      source_(*this, stream),
      sink_(*this, stream),
      send_timeout_(options.send_timeout) {
    if (core_.on_thread()) {
        core_.add_resident(*this);
        return;
    }
    post(registering_, [](MailboxEntry& entry) noexcept {
        Session& self = static_cast<Mail&>(entry).session;
        self.core_.add_resident(self);
    });
}

Session::~Session() {
    if (!engine_gone_.load(std::memory_order_relaxed)) core_.remove_resident(*this);
}

void Session::post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept {
    mail.deliver = deliver;
    core_.post(mail);
}

void Session::release(StreamPtr stream) noexcept {
    close();
    if (engine_gone_.load(std::memory_order_acquire)) {
        stream_ = std::move(stream);
        if (!busy()) delete this;  // see orphan()
        return;
    }
    if (core_.is_forked()) return;  // the parent's lists may name this object, so it stays
    stream_ = std::move(stream);
    if (core_.on_thread()) return release_here();
    post(releasing_,
         [](MailboxEntry& entry) noexcept { static_cast<Mail&>(entry).session.release_here(); });
}

void Session::release_here() noexcept {
    released_ = true;
    if (stream_) stream_->close();
    let_go();
}

void Session::let_go() noexcept {
    if (released_ && !busy()) delete this;
}

// An operation that outlived its engine has nobody left to end it: its memory stays, since the
// kernel may still write there.
void Session::orphan() noexcept {
    const bool idle = !busy();
    if (idle) {
        source_.orphan();
        sink_.orphan();
    }
    const bool ended = released_ && idle;
    engine_gone_.store(true, std::memory_order_release);  // from here on release() may free this
    if (ended) delete this;
}

bool Session::took_request(const RequestHead& head) noexcept {
    unknown_expectation_ = head.unknown_expectation;
    return sink_.owe_response(head);
}

void Session::took_trailer(const FieldViews& fields) noexcept {
    trailer_.clear();
    // Without memory for it, or for a field that no head may have, the trailer is dropped, which a
    // recipient may do with any of it (RFC 9110 6.5.1).
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

std::int64_t Session::head_deadline_ns() noexcept {
    return deadline_after(core_.now_ns(), options_.head_timeout);
}

void Session::limit_sending(Aio& aio, std::size_t bytes) noexcept {
    if (send_timeout_ == kNoTimeout) return;
    core_.limit_deadline(aio, deadline_after(core_.now_ns(), send_allowance(send_timeout_, bytes)));
}

void Session::limit_content(Aio& aio) noexcept {
    if (content_timeout_ == kNoTimeout || EngineCore::has_deadline(aio)) return;
    core_.limit_deadline(aio, deadline_after(core_.now_ns(), content_timeout_));
}

}  // namespace uaio::http
