#include "transport/http/pending_responses.h"

#include <utility>

namespace uaio::http {

bool PendingResponses::push(const RequestHead& head) noexcept {
    return queue_.push({.method = request_method(head.method),
                        .version = head.version,
                        .keep_alive = head.keep_alive,
                        .expects = head.expect_continue && head.version == Version::http_1_1,
                        .upgrade = head.upgrade});
}

void PendingResponses::answer() noexcept {
    if (!queue_.empty()) {
        last_ = queue_.front();
        queue_.pop();
    }
    last_.expects = false;
}

bool PendingResponses::take_expectation() noexcept {
    return queue_.size() == 1 && std::exchange(queue_.front().expects, false);
}

}  // namespace uaio::http
