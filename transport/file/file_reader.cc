#include "transport/file/file_reader.h"

#include <uaio/error.h>

#include "base/check.h"
#include "transport/stream/admit.h"

#include <algorithm>
#include <cerrno>

#include <liburing.h>

namespace uaio {

void FileReader::read_all(Aio& aio, std::uint64_t offset) noexcept {
    offset_ = offset;
    blocking_ = false;
    Provider::submit(aio.engine(), aio, &start, this);
}

void FileReader::start(Aio& aio) noexcept {
    const Admission admission = admit(aio, false);
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    if (admission.bytes == 0) return Provider::finish(aio);
    Provider::advance(aio, 0);  // skips empty buffers
    read_on(aio);
}

void FileReader::read_on(Aio& aio) noexcept {
    constexpr std::size_t kMost = 1 << 30;
    const FileReader& self = *static_cast<FileReader*>(Provider::owner(aio));
    const iovec& entry = Provider::cursor(aio).rest().front();
    DCHECK(entry.iov_len > 0);  // a read of no bytes would look like the end of the file
    const auto size = static_cast<unsigned>(std::min(entry.iov_len, kMost));
    io_uring_sqe& sqe = Provider::begin<&on_read>(aio);
    io_uring_prep_read(&sqe, self.fd_, entry.iov_base, size, self.offset_ + aio.count());
    if (self.blocking_) sqe.flags |= IOSQE_ASYNC;
}

Outcome FileReader::on_read(Aio& aio, int result, unsigned) noexcept {
    FileReader& self = *static_cast<FileReader*>(Provider::owner(aio));
    DCHECK(result <= 0 ||
           static_cast<std::size_t>(result) <= Provider::cursor(aio).rest().front().iov_len);
    if (result > 0) Provider::advance(aio, static_cast<std::size_t>(result));
    if (Provider::cursor(aio).done()) return Outcome::finished;
    std::error_code error = Provider::cancel_reason(aio);
    if (!error && result == 0) error = Errc::end_of_stream;
    if (!error && result == -ECANCELED) error = Errc::closed;  // the engine ends
    const bool again = result == -EINTR || (result == -EAGAIN && !self.blocking_);
    if (!error && result < 0 && !again) error = error_from_result(result);
    if (error) {
        Provider::set_error(aio, error);
        return Outcome::finished;
    }
    self.blocking_ = result == -EAGAIN;
    read_on(aio);
    return Outcome::pending;
}

}  // namespace uaio
