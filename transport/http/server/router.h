// Selects the route of a request: the longest path, then a route with a host. Filled before the
// server listens, then read by any thread.
#pragma once

#include <uaio/http_server.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
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
    // The routes of one path, in the order of find().
    using Routes = std::span<const Route* const>;

    Routes routes_of(std::string_view path) const noexcept;
    template <class Take>
    void visit(std::string_view host, std::string_view path, Take take) const;

    std::vector<std::unique_ptr<Route>> routes_;
    std::vector<const Route*> sorted_;  // those of one path next to each other
};

}  // namespace uaio::http
