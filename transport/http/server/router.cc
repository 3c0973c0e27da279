#include "transport/http/server/router.h"

#include "base/check.h"
#include "base/quoted.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"
#include "transport/http/server/location.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <vector>

namespace uaio::http {
namespace {

// Removes the port. An IPv6 address has colons of its own, inside brackets.
std::string_view without_port(std::string_view host) noexcept {
    const std::size_t colon = host.rfind(':');
    if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) {
        return host;
    }
    return host.substr(0, colon);
}

// Throws std::invalid_argument for a path that no request can have: request paths are decoded, and
// their empty and dot segments resolved.
void check_path(const std::string& path) {
    if (!path.starts_with('/')) {
        throw std::invalid_argument(
            "uaio: http::Server::handle(): the path does not begin with a slash: " +
            in_quotes(path));
    }
    std::string found;
    const std::error_code error = normalise_path(encode_path(path), found);
    if (error == Errc::not_enough_memory) throw std::bad_alloc();
    if (!error && found == path) return;
    throw std::invalid_argument("uaio: http::Server::handle(): no request can match the path " +
                                in_quotes(path) +
                                (error ? "" : "; use " + in_quotes(found) + " instead"));
}

// Orders paths by their sizes first, which compare faster.
bool is_before(std::string_view a, std::string_view b) noexcept {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// A route of HEAD's own precedes one of GET, which takes HEAD as well, and both precede one that
// takes every method.
int generality(std::string_view method) noexcept {
    if (method.empty()) return 2;
    return method == "HEAD" ? 0 : 1;
}

}  // namespace

Route& Route::host(std::string_view name) {
    if (!name.empty() && (!is_host(name) || without_port(name).size() != name.size())) {
        throw std::invalid_argument("uaio: http::Route::host(): not a host, or one with a port: " +
                                    in_quotes(name));
    }
    host_ = name;
    return *this;
}

Route& Route::prefix() noexcept {
    prefix_ = true;
    while (!path_.empty() && path_.back() == '/')
        path_.pop_back();
    return *this;
}

Route& Route::stream_content() noexcept {
    stream_content_ = true;
    return *this;
}

Route& Route::content_limit(std::size_t bytes) noexcept {
    content_limit_ = bytes;
    return *this;
}

Route& Router::add(std::string_view method, std::string_view path, Handler handler,
                   std::size_t content_limit) {
    check_path(std::string(path));
    if (!method.empty() && !is_token(method)) {
        throw std::invalid_argument(
            "uaio: http::Server::handle(): no request can have the method " + in_quotes(method));
    }
    if (method == "CONNECT" && path != "/") {
        throw std::invalid_argument(
            "uaio: http::Server::handle(): CONNECT has the path \"/\"; no request can match " +
            in_quotes(path));
    }
    if (!handler) {
        throw std::invalid_argument(
            "uaio: http::Server::handle(): the handler is empty for the path " + in_quotes(path));
    }
    auto route = std::make_unique<Route>();
    route->method_ = method;
    route->path_ = path;
    route->handler_ = std::move(handler);
    route->content_limit_ = content_limit;
    routes_.push_back(std::move(route));
    return *routes_.back();
}

void Router::freeze() {
    sorted_.clear();
    for (const auto& route : routes_)
        sorted_.push_back(route.get());
    // Sorts specific routes first: exact paths before prefixes, then a given host, then a method.
    std::ranges::stable_sort(sorted_, [](const Route* a, const Route* b) {
        if (a->path_ != b->path_) return is_before(a->path_, b->path_);
        if (a->prefix_ != b->prefix_) return b->prefix_;
        if (a->host_.empty() != b->host_.empty()) return b->host_.empty();
        return generality(a->method_) < generality(b->method_);
    });
    for (const Route* const route : sorted_) {
        for (const Route* const other : routes_of(route->path_)) {
            if (other == route) break;
            if (other->method_ != route->method_ || other->prefix_ != route->prefix_) continue;
            if (!same_name(other->host_, route->host_)) continue;
            throw std::invalid_argument("uaio: http::Server::listen(): two routes match " +
                                        route->method_ + " " + route->path_);
        }
    }
}

Router::Routes Router::routes_of(std::string_view path) const noexcept {
    const auto begin = std::ranges::lower_bound(sorted_, path, &is_before, &Route::path_);
    auto end = begin;
    while (end != sorted_.end() && (*end)->path_ == path)
        ++end;
    return {begin, end};
}

// Calls take(route, rest) for each route that matches the path, the longest first, until it returns
// true.
template <class Take>
void Router::visit(std::string_view host, std::string_view path, Take take) const {
    DCHECK(path.starts_with('/'));
    std::string_view prefix = path;
    for (;;) {
        for (const Route* const route : routes_of(prefix)) {
            if (!route->prefix_ && prefix.size() != path.size()) continue;
            if (!route->host_.empty() && !same_name(route->host_, without_port(host))) continue;
            if (take(*route, prefix.size())) return;
        }
        if (prefix.empty()) return;
        prefix = prefix.substr(0, prefix.rfind('/'));
    }
}

Router::Found Router::find(std::string_view method, std::string_view host,
                           std::string_view path) const {
    Found found;
    // A GET route also takes HEAD; a HEAD route with a longer path precedes it.
    const bool head = method == "HEAD";
    visit(host, path, [&](const Route& route, std::size_t rest) {
        const bool takes =
            route.method_.empty() || route.method_ == method || (head && route.method_ == "GET");
        if (!takes) {
            found.other_method = true;
            return false;
        }
        found = {&route, rest, false};
        return true;
    });
    return found;
}

std::string Router::allowed(std::string_view host, std::string_view path) const {
    std::vector<std::string_view> methods;
    const auto add = [&methods](std::string_view method) {
        if (std::ranges::find(methods, method) == methods.end()) methods.push_back(method);
    };
    visit(host, path, [&](const Route& route, std::size_t) {
        add(route.method_);
        if (route.method_ == "GET") add("HEAD");
        return false;
    });
    std::string list;
    for (const std::string_view method : methods) {
        if (!list.empty()) list += ", ";
        list += method;
    }
    return list;
}

}  // namespace uaio::http
