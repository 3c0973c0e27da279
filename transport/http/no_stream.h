// A stream whose every operation ends with the same error, by its callback. It replaces a null
// pointer that every verb would have to check. Any thread.
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>

#include "engine/core.h"

namespace uaio::http {

template <auto kError>
class NoStream final : public Stream {
public:
    void read(Aio& aio) override { refuse(aio); }
    void read_all(Aio& aio) override { refuse(aio); }
    void write(Aio& aio) override { refuse(aio); }
    void write_all(Aio& aio) override { refuse(aio); }
    void close() noexcept override {}
    int native_handle() const noexcept override { return -1; }

private:
    static void refuse(Aio& aio) noexcept {
        Provider::submit(
            aio.engine(), aio, [](Aio& refused) noexcept { Provider::finish(refused, kError); },
            nullptr);
    }
};

}  // namespace uaio::http
