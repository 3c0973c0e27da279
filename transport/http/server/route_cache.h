// The route that was found last, for the next request with the same method, host and path: nearly
// all requests of many servers. Its router must not change. Engine's thread.
#pragma once

#include "transport/http/format/head_parser.h"
#include "transport/http/format/syntax.h"
#include "transport/http/server/router.h"

#include <cstddef>
#include <new>
#include <string>
#include <string_view>

namespace uaio::http {

class RouteCache {
public:
    // True if this request has the route that was kept: `found` is it, and `path` the normalised
    // path.
    bool find(const RequestHead& head, std::string& path, Router::Found& found) const noexcept {
        const std::string_view method = head.method;
        const std::string_view host = head.host;
        const std::string_view raw = head.parts.path;
        if (method.size() != method_size_ || host.size() != host_size_ ||
            method.size() + host.size() + raw.size() != key_.size()) {
            return false;
        }
        const char* const key = key_.data();
        if (!same_bytes(key, method.data(), method.size()) ||
            !same_bytes(key + method.size(), host.data(), host.size()) ||
            !same_bytes(key + method.size() + host.size(), raw.data(), raw.size())) {
            return false;
        }
        found = found_;
        // The last request with this memory had the same path, most often.
        if (path.size() == path_.size() && same_bytes(path.data(), path_.data(), path.size()))
            return true;
        try {
            path.assign(path_);
        } catch (const std::bad_alloc&) {
            return false;
        }
        return true;
    }

    // `path` and `found` are what this request has.
    void keep(const RequestHead& head, const std::string& path,
              const Router::Found& found) noexcept {
        constexpr std::size_t kLargest = 512;  // bytes: a longer key is not kept
        const std::size_t size = head.method.size() + head.host.size() + head.parts.path.size();
        if (size > kLargest || path.size() > kLargest) return;
        try {
            path_.assign(path);
            key_.reserve(size);
        } catch (const std::bad_alloc&) {
            key_.clear();
            method_size_ = host_size_ = 0;
            return;
        }
        key_.assign(head.method).append(head.host).append(head.parts.path);
        method_size_ = head.method.size();
        host_size_ = head.host.size();
        found_ = found;
    }

private:
    std::string key_;  // method, host and path as received; empty: nothing was kept
    std::size_t method_size_ = 0;
    std::size_t host_size_ = 0;
    std::string path_;
    Router::Found found_;
};

}  // namespace uaio::http
