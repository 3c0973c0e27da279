#include "transport/http/server/fixed_response.h"

#include <uaio/http_server.h>

#include "base/check.h"
#include "transport/http/format/serialiser.h"
#include "transport/http/server/file_response.h"
#include "transport/http/server/server_connection.h"

#include <utility>

namespace uaio::http {

FixedResponse::FixedResponse(std::string content, std::string_view type)
    : content_(std::move(content)) {
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
    exchange.fixed_ = fixed;
    exchange.connection_->responses().respond(exchange, *fixed);
}

}  // namespace uaio::http
