// The head of the last request that a connection sent without content, for the next one that is
// equal. Engine's thread.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/format/serialiser.h"
#include "transport/http/format/syntax.h"
#include "transport/http/request_method.h"

#include <cstddef>
#include <new>
#include <string>
#include <string_view>

namespace uaio::http {

class PreparedRequest {
public:
    // The head of this request was kept: it is text(), and needs no check.
    bool is_for(const Request& request) const noexcept {
        if (head_.empty() || request.has_content()) return false;
        if (request.version() != Version::http_1_1) return false;
        const std::string_view parts[] = {
            request.method(), " ", request.target(), kVersion, request.headers().text(), kLineEnd};
        if (size_of(request) != head_.size()) return false;
        const char* at = head_.data();
        for (const std::string_view part : parts) {
            if (!same_bytes(at, part.data(), part.size())) return false;
            at += part.size();
        }
        return true;
    }
    // Keeps the head, unless it is large, announces content, or has fields that the request lacks.
    void keep(const Request& request, const std::string& head, const FollowingMessage& following,
              RequestMethod asked, bool announces_none) noexcept {
        constexpr std::size_t kLargest = 1024;
        const bool plain = !request.has_content() && request.version() == Version::http_1_1 &&
                           following.framing == ContentFraming::none &&
                           head.size() == size_of(request) && head.size() <= kLargest;
        if (!plain) return;
        try {
            head_.assign(head);
        } catch (const std::bad_alloc&) {
            head_.clear();
            return;
        }
        keep_alive_ = following.keep_alive;
        asked_ = asked;
        announces_none_ = announces_none;
    }

    const std::string& text() const noexcept { return head_; }
    bool keeps_alive() const noexcept { return keep_alive_; }
    RequestMethod asked() const noexcept { return asked_; }
    // Its fields say that it has no content.
    bool announces_none() const noexcept { return announces_none_; }

private:
    static constexpr std::string_view kVersion = " HTTP/1.1\r\n";

    // Of a head that consists of the parts of the request alone.
    static std::size_t size_of(const Request& request) noexcept {
        return request.method().size() + 1 + request.target().size() + kVersion.size() +
               request.headers().text().size() + kLineEnd.size();
    }

    std::string head_;  // empty: none was kept
    bool keep_alive_ = false;
    bool announces_none_ = false;
    RequestMethod asked_ = RequestMethod::other;
};

}  // namespace uaio::http
