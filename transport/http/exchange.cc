#include <uaio/http_server.h>

#include "transport/http/server_connection.h"
#include "transport/http/target.h"

namespace uaio::http {

Exchange::Exchange(ServerConnection& connection)
    : connection_(connection),
      aio_(connection.loop().engine(), [this](Aio&) { connection_.on_event(*this); }) {}

std::string_view Exchange::query() const noexcept {
    Target target;
    split_target(request_.method(), request_.target(), target);
    return target.query;
}

Engine& Exchange::engine() const noexcept { return connection_.loop().engine(); }

std::chrono::nanoseconds Exchange::send_timeout(std::size_t bytes) const noexcept {
    return connection_.loop().send_timeout(bytes);
}

void Exchange::respond() noexcept { connection_.respond(*this); }
void Exchange::respond(int status) noexcept { connection_.respond(*this, status); }

void Exchange::respond(std::string_view content, std::string_view type) noexcept {
    std::error_code error = response_.copy_data(content);
    if (!error) error = response_.headers().set("Content-Type", type);
    error ? connection_.respond(*this, 500) : connection_.respond(*this);
}

void Exchange::begin(Aio& aio) noexcept { connection_.begin(*this, aio); }
BodyWriter Exchange::writer() noexcept { return connection_.connection().write_body(); }
void Exchange::end() noexcept { connection_.end(*this); }
void Exchange::fail() noexcept { connection_.fail(*this); }
BodyReader Exchange::reader() noexcept { return connection_.connection().read_body(); }
Connection Exchange::hijack() noexcept { return connection_.hijack(*this); }

}  // namespace uaio::http
