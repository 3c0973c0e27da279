// A stream whose every operation ends with the same error, by its callback. It replaces a null
// pointer that every verb would have to check. Any thread.
#pragma once

#include <uaio/stream.h>

#include "transport/stream/starters.h"

namespace uaio::http {

template <auto kError>
class NoStream final : public Stream {
public:
    void read(Aio& aio) override { refuse<kError>(aio); }
    void read_all(Aio& aio) override { refuse<kError>(aio); }
    void write(Aio& aio) override { refuse<kError>(aio); }
    void write_all(Aio& aio) override { refuse<kError>(aio); }
    void close() noexcept override {}
    int native_handle() const noexcept override { return -1; }
};

}  // namespace uaio::http
