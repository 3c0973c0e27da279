// Selects the route of a request: the longest path, then a route with a host. Filled before the
// server listens, then read by any thread.
#pragma once

#include <uaio/http_server.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace uaio::http {

class Router {
public:
    struct Found {
        const Route* route = nullptr;
        std::size_t rest = 0;       // offset of the path after the route's prefix
        bool other_method = false;  // only routes for other methods match
    };

    // Throws std::invalid_argument for a method or a path that no request can have, and for an
    // empty handler.
    Route& add(std::string_view method, std::string_view path, Handler handler,
               std::size_t content_limit);

    // Builds the index of find(). Throws std::invalid_argument for two routes with the same method,
    // path and host.
    void freeze();

    // `path` is decoded, `host` may have a port. Does not allocate.
    Found find(std::string_view method, std::string_view host, std::string_view path) const;

    // The methods of a path, in the form of Allow (RFC 9110 10.2.1).
    std::string allowed(std::string_view host, std::string_view path) const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };
    using Routes = std::vector<const Route*>;

    template <class Take>
    void visit(std::string_view host, std::string_view path, Take take) const;

    std::vector<std::unique_ptr<Route>> routes_;
    std::unordered_map<std::string, Routes, Hash, std::equal_to<>> by_path_;
};

}  // namespace uaio::http
