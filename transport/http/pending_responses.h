// The requests that a connection has read and not answered yet, in order: what the next response
// must suit. Engine's thread only.
#pragma once

#include <uaio/http_types.h>

#include "transport/http/backlog.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/request_method.h"

#include <cstddef>

namespace uaio::http {

class PendingResponses {
public:
    struct Request {
        RequestMethod method = RequestMethod::other;
        Version version = Version::http_1_1;
        bool keep_alive = true;
        bool expects = false;  // 100 Continue before it sends content
        bool upgrade = false;

        // The response needs no other framing, and no Connection field if the server keeps the
        // connection open.
        bool is_usual() const noexcept {
            const bool usual = method == RequestMethod::other && version == Version::http_1_1;
            return usual && keep_alive && !upgrade;
        }
    };

    // Records a request that needs a response. False if out of memory.
    bool push(const RequestHead& head) noexcept;
    bool empty() const noexcept { return queue_.empty(); }
    // The request that the next response answers. Without a pending one, the last one again.
    const Request& next() const noexcept { return queue_.empty() ? last_ : queue_.front(); }
    // A final response to next() follows.
    void answer() noexcept;
    // The next response answers a request whose head could not be read, unless one is pending.
    void forget_last() noexcept { last_ = Request(); }

    // The client of the next request expects 100 Continue, and none was sent.
    bool awaits_100_continue() const noexcept { return !empty() && queue_.front().expects; }
    // True once, if 100 Continue is to be sent for content that is read now: it belongs to the
    // request that was read last, so no other may be pending.
    bool take_expectation() noexcept;

private:
    Backlog<Request> queue_;
    Request last_;  // answered
};

}  // namespace uaio::http
