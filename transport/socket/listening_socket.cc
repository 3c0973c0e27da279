#include "transport/socket/listening_socket.h"

#include "base/check.h"
#include "base/error_text.h"
#include "transport/socket/stream.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"
#include "transport/stream/starters.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include <liburing.h>

namespace uaio {
namespace {

// How long accepts wait without a descriptor or memory, unless a socket of the engine closes first.
constexpr std::chrono::milliseconds kPause{100};

// State of a pending accept, in its Aio.
struct AcceptNote {
    StreamPtr* out;  // where the accepted stream goes
    bool paused;     // parked, not in the kernel
};

bool is_shortage(int result) noexcept {
    return result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM;
}

std::string_view shortage_text(int result) noexcept {
    switch (result) {
        case -EMFILE:
            return "accept: this process has no free descriptor (RLIMIT_NOFILE); connections wait "
                   "until one is closed";
        case -ENFILE:
            return "accept: the system has no free descriptor (fs.file-max); connections wait "
                   "until one is closed";
        default: return "accept: the kernel has no memory; connections wait until memory is free";
    }
}

[[noreturn]] void refuse(Kernel& kernel, int fd, int result, const char* call,
                         const std::string& where) {
    if (fd >= 0) kernel.close(fd);
    const std::error_code error(-result, std::system_category());
    throw std::system_error(error,
                            with_advice(std::string("uaio: ") + call + " for " + where, error));
}

}  // namespace

ListeningSocket* ListeningSocket::open(Engine& engine, const sockaddr* address, socklen_t size,
                                       const Setup& setup, const std::string& where) {
    EngineCore& core = EngineCore::of(engine);
    core.require_thread();
    Kernel& kernel = core.kernel();
    Parts parts{.options = setup.stream, .file = setup.file, .share = setup.share};
    std::unique_lock<std::mutex> lock;
    if (setup.share) lock = std::unique_lock(setup.share->mutex());
    const int shared = setup.share ? setup.share->find(kernel.kind()) : -1;
    const int fd =
        shared < 0 ? listen(kernel, address, size, setup, where) : kernel.duplicate(shared);
    if (fd < 0) refuse(kernel, -1, fd, "dup", where);
    if (!parts.file.empty()) kernel.identify_file(parts.file.c_str(), parts.identity);
    return make(core, fd, std::move(parts), where);
}

int ListeningSocket::listen(Kernel& kernel, const sockaddr* address, socklen_t size,
                            const Setup& setup, const std::string& where) {
    const int family = address->sa_family;
    const int fd = kernel.socket(family, SOCK_STREAM, 0);
    if (fd < 0) refuse(kernel, -1, fd, "socket", where);
    const int yes = 1;
    int result = 0;
    if (setup.reuse_address && family != AF_UNIX) {
        result = kernel.set_option(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (result < 0) refuse(kernel, fd, result, "SO_REUSEADDR", where);
    }
    if (setup.reuse_port) {
        result = kernel.set_option(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
        if (result < 0) refuse(kernel, fd, result, "SO_REUSEPORT", where);
    }
    // Accepted sockets inherit the options, which saves the calls for each.
    result = apply_options(kernel, fd, family, setup.stream);
    if (result < 0) refuse(kernel, fd, result, "the socket options", where);
    result = kernel.bind_socket(fd, address, size);
    if (result < 0) refuse(kernel, fd, result, "bind", where);
    result = kernel.listen(fd, setup.backlog);
    if (result < 0) refuse(kernel, fd, result, "listen", where);
    return fd;
}

ListeningSocket* ListeningSocket::make(EngineCore& core, int fd, Parts&& parts,
                                       const std::string& where) {
    bool joined = true;
    try {
        if (parts.share) parts.share->join(fd, core.kernel().kind());
    } catch (const std::bad_alloc&) {
        joined = false;  // the share's list could not grow
    }
    ListeningSocket* const socket =
        joined ? new (std::nothrow) ListeningSocket(core, fd, parts) : nullptr;
    if (socket) return socket;
    if (parts.share) parts.share->forget(fd);
    if (!parts.file.empty()) core.kernel().remove_file(parts.file.c_str(), parts.identity);
    refuse(core.kernel(), fd, -ENOMEM, "memory", where);
}

// Must not throw: the engine knows a Descriptor before it is complete.
ListeningSocket::ListeningSocket(EngineCore& core, int fd, Parts& parts) noexcept
    : Descriptor(core, fd),
      closing_(*parts.closing.release()),
      options_(parts.options),
      file_(std::move(parts.file)),
      identity_(parts.identity),
      share_(std::move(parts.share)) {
    pause_.emplace(core.engine(), [this](Aio&) { on_pause_over(); });
    pause_->set_timeout(kPause);
    enroll();
}

ListeningSocket::~ListeningSocket() {
    DCHECK(is_engine_gone() || (accepts_.empty() && !pausing_));
    if (!is_engine_gone()) core().shortage().remove(*this);
    closing_.finish();
    closing_.drop();
}

// ---- the handle

void ListeningSocket::close() noexcept {
    const Arrival arrival(*this);
    if (arrival && !close_unbound()) EngineObject::close();
}

void ListeningSocket::release() noexcept {
    // The parent's engine closes its own.
    {
        const Arrival arrival(*this);
        if (arrival && core().is_forked()) return close_inherited();
    }
    release_and_wait(closing_, [this] { return close_unbound(); });
}

void ListeningSocket::on_engine_destroyed(bool idle) noexcept {
    core().shortage().remove(*this);
    pause_.reset();
    Descriptor::on_engine_destroyed(idle);
}

// ---- accepts

void ListeningSocket::accept(Aio& aio, StreamPtr& out) noexcept {
    submit_for(*this, aio, &start_accept, &out);
}

void ListeningSocket::start_accept(Aio& aio) noexcept {
    ListeningSocket& self = *static_cast<ListeningSocket*>(Provider::owner(aio));
    const Admission admission = admit_without_buffers(aio, self.closed());
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    StreamPtr* const out = static_cast<StreamPtr*>(Provider::argument(aio));
    put_note(aio, AcceptNote{.out = out, .paused = false});
    self.accepts_.push(aio);
    self.wait_for_connection(aio);
}

void ListeningSocket::wait_for_connection(Aio& aio) noexcept {
    DCHECK(!closed() && note_in<AcceptNote>(aio).out);
    note_in<AcceptNote>(aio).paused = pausing_;
    if (pausing_) return Provider::park_untracked(aio, &on_cancel_paused);
    io_uring_sqe& sqe = Provider::begin<&on_accepted>(aio);
    io_uring_prep_accept(&sqe, fd(), nullptr, nullptr, SOCK_CLOEXEC);
}

Outcome ListeningSocket::on_accepted(Aio& aio, int result, unsigned) noexcept {
    ListeningSocket& self = *static_cast<ListeningSocket*>(Provider::owner(aio));
    if (!self.end(aio, result)) return Outcome::pending;
    self.accepts_.remove(aio);
    self.continue_close();  // may free the socket
    return Outcome::finished;
}

// False if the accept continues.
bool ListeningSocket::end(Aio& aio, int result) noexcept {
    if (result >= 0) {
        StreamPtr stream = SocketStream::make(core(), result, options_);
        if (stream) {
            *note_in<AcceptNote>(aio).out = std::move(stream);
        } else {
            Provider::set_error(aio, Errc::not_enough_memory);
        }
        return true;
    }
    if (const std::error_code reason = Provider::cancel_reason(aio)) {
        Provider::set_error(aio, reason);
        return true;
    }
    // ECONNABORTED: that connection was aborted in the queue; others may be there (accept(2)).
    if (result == -EINTR || result == -EAGAIN || result == -ECONNABORTED) {
        wait_for_connection(aio);
        return false;
    }
    if (is_shortage(result)) {
        pause(aio, result);
        return false;
    }
    Provider::set_error(aio, error_from_result(result));
    return true;
}

// ---- shortage of descriptors or memory

// The connection stays in the kernel's queue. Repeated now, accept(2) would fail at once, with or
// without a connection.
void ListeningSocket::pause(Aio& aio, int result) noexcept {
    if (!std::exchange(pausing_, true)) {
        core().counters().accept_pauses.add();
        core().shortage().add(*this);
        Provider::submit(engine(), *pause_, &start_as_timer, nullptr);
    }
    DCHECK(pause_->busy());  // or the accepts would wait for ever
    wait_for_connection(aio);
    if (core().shortage().begins_episode(core().now_ns())) {
        core().log(LogLevel::warning, shortage_text(result));
    }
}

void ListeningSocket::on_cancel_paused(Aio& aio) noexcept {
    ListeningSocket& self = *static_cast<ListeningSocket*>(Provider::owner(aio));
    self.accepts_.remove(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
}

void ListeningSocket::on_pause_over() noexcept {
    DCHECK(pausing_);
    pausing_ = false;
    core().shortage().remove(*this);
    for (Aio* aio = accepts_.front(); aio; aio = AioQueue::next(*aio)) {
        if (note_in<AcceptNote>(*aio).paused) wait_for_connection(*aio);
    }
    continue_close();  // may free the socket
}

// ---- close

// Runs before the descriptor is closed, which keeps its inode number from other files: another
// server may have taken over the path with its own socket.
void ListeningSocket::leave() noexcept {
    if (share_ && !share_->leave(fd())) return;  // others still listen
    Kernel& kernel = core().kernel();
    if (!file_.empty()) kernel.remove_file(file_.c_str(), identity_);
    kernel.shutdown(fd(), SHUT_RDWR);
}

void ListeningSocket::end_operations() noexcept {
    if (pausing_) Provider::cancel(*pause_, Errc::closed);
    cancel_all(accepts_, Errc::closed);
    // An accept in the kernel keeps the socket, and so its address, in use.
    Loop& loop = core().loop();
    settled_ = loop.ring().settle([&] {
        for (const Aio* aio = accepts_.front(); aio; aio = AioQueue::next(*aio)) {
            if (!loop.ring().is_completed(Provider::completion(*aio))) return false;
        }
        return true;
    });
    loop.announce_work();
}

}  // namespace uaio
