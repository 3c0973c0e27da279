#include "transport/tls/batch_queue.h"

#include "base/check.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace uaio::tls {

BatchQueue::Note& BatchQueue::note_of(Aio& aio) noexcept { return note_in<Note>(aio); }

bool BatchQueue::shares_add_up() const noexcept {
    std::size_t shared = 0;
    for (Aio* aio = queue_.front(); aio && note_of(*aio).share > 0; aio = AioQueue::next(*aio))
        shared += note_of(*aio).share;
    return shared == batch_;
}

void BatchQueue::push(Aio& aio, std::size_t bytes, bool all) noexcept {
    DCHECK(aio.count() == 0);
    put_note(aio, Note{.left = bytes, .all = all});
    queue_.push(aio);
}

void BatchQueue::end(Aio& aio, std::error_code error) noexcept {
    DCHECK(&aio != taking_);
    queue_.remove(aio);
    Provider::finish(aio, error);
}

void BatchQueue::end_waiting(std::error_code error) noexcept {
    for (Aio* aio = queue_.front(); aio;) {
        Aio* const behind = AioQueue::next(*aio);
        if (!is_in_batch(*aio)) end(*aio, error);
        aio = behind;
    }
    DCHECK(shares_add_up());
}

void BatchQueue::end_all(std::error_code error) noexcept {
    batch_ = 0;
    taking_ = nullptr;
    canceled_ = false;
    finish_all(queue_, error);
}

std::size_t BatchQueue::waiting(std::size_t most) const noexcept {
    std::size_t bytes = 0;
    for (Aio* aio = queue_.front(); aio && bytes < most; aio = AioQueue::next(*aio))
        bytes += std::min(note_of(*aio).left, most);
    return bytes;
}

std::size_t BatchQueue::begin(std::size_t room) noexcept {
    DCHECK(batch_ == 0 && !canceled_ && room > 0);
    Aio& front = *queue_.front();
    std::size_t data = 0;
    for (Aio* aio = &front; aio; aio = AioQueue::next(*aio)) {
        Note& note = note_of(*aio);
        const bool fits = note.left > 0 && note.left <= room - data;
        if ((!fits || note.all != note_of(front).all) && data > 0) break;
        note.share = std::min(note.left, room);
        note.left -= note.share;
        data += note.share;
        if (!fits) break;
    }
    batch_ = data;
    taking_ = &front;
    DCHECK(data > 0 && data <= room && shares_add_up());
    return data;
}

// Copies buffers that are too short for a record together, which costs less than a record for each.
const void* BatchQueue::take(std::size_t size, std::span<std::byte> gathered) noexcept {
    DCHECK(size > 0 && size <= gathered.size());
    const void* data = nullptr;
    std::size_t taken = 0;
    while (taken < size) {
        ALWAYS_CHECK(taking_ && is_in_batch(*taking_),
                     "a record gets no bytes of an operation outside");
        const std::span<iovec> rest = Provider::cursor(*taking_).rest();
        if (rest.empty()) {
            taking_ = AioQueue::next(*taking_);
            continue;
        }
        const std::size_t part = std::min(rest.front().iov_len, size - taken);
        if (part == size) {
            data = rest.front().iov_base;
        } else if (part > 0) {
            std::memcpy(gathered.data() + taken, rest.front().iov_base, part);
            data = gathered.data();
        }
        Provider::cursor(*taking_).advance(part);
        taken += part;
    }
    return data;
}

BatchQueue::Settled BatchQueue::settle(std::size_t sent) noexcept {
    DCHECK(shares_add_up() && sent <= batch_);
    batch_ = 0;
    taking_ = nullptr;
    canceled_ = false;
    while (Aio* const front = queue_.front()) {
        Note& note = note_of(*front);
        if (note.share == 0) break;
        const std::size_t out = std::min(sent, note.share);
        Provider::add_count(*front, out);
        if (out < note.share) return Settled::cut;
        sent -= out;
        note.share = 0;
        if (note.left > 0 && note.all) return Settled::continues;
        end(*front, {});
    }
    DCHECK(sent == 0);
    return Settled::sent;
}

bool BatchQueue::settle_untaken(std::size_t sent) noexcept {
    Aio& front = *queue_.front();
    Note& note = note_of(front);
    DCHECK(taking_ == &front && note.share == batch_ && note.left == 0 && sent <= batch_);
    batch_ = 0;
    taking_ = nullptr;
    canceled_ = false;
    note.left = std::exchange(note.share, 0) - sent;
    Provider::advance(front, sent);
    return note.left == 0 || (!note.all && sent > 0);
}

void BatchQueue::end_cut(std::error_code error, std::error_code behind) noexcept {
    while (Aio* const front = queue_.front()) {
        if (!is_in_batch(*front)) return;
        const std::error_code reason = Provider::cancel_reason(*front);
        end(*front, reason ? reason : error);
        error = behind;
    }
}

}  // namespace uaio::tls
