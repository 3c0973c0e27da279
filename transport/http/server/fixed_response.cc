#include "transport/http/server/fixed_response.h"

#include <uaio/http_server.h>

#include "base/check.h"
#include "transport/http/format/serialiser.h"
#include "transport/http/server/file_response.h"
#include "transport/http/server/server_connection.h"

#include <atomic>
#include <utility>

namespace uaio::http {
namespace {

std::uint64_t next_number() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

FixedResponse::FixedResponse(std::string content, std::string_view type)
    : content_(std::move(content)), number_(next_number()) {
    throw_if(response_.set_content(content_));
    throw_if(response_.headers().set("Content-Type", type));
    FollowingMessage following;
    throw_if(write_head(response_, ResponseContext(), Payload::attached, head_, following));
    constexpr std::string_view kEmptyLine = "\r\n";
    DCHECK(following.keep_alive && head_.ends_with("\r\n\r\n"));
    head_.resize(head_.size() - kEmptyLine.size());
}

void FixedResponse::send(const std::shared_ptr<const FixedResponse>& fixed, Exchange& exchange) {
    if (!exchange.may_respond()) return;
    ResponseSender& responses = exchange.connection_->responses();
    if (responses.respond_whole(exchange, *fixed)) return;
    exchange.fixed_ = fixed;
    responses.respond(exchange, *fixed);
}

}  // namespace uaio::http
