// Resumable sessions of clients, by place: server name and session key. Any thread.
#pragma once

#include "transport/tls/openssl.h"

#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace uaio::tls {

class SessionCache {
public:
    // Stores the session, and may evict older ones. Drops it without memory.
    void keep(const std::string& place, SessionPtr session) noexcept;
    // Returns the newest session of the place, or null. Returns a TLS 1.3 session only once, so
    // that two connections cannot be linked to one client (RFC 8446 C.4).
    SessionPtr take(const std::string& place) noexcept;

private:
    static constexpr std::size_t kPlaces = 1024;
    static constexpr std::size_t kPerPlace = 4;

    struct Place {
        std::vector<SessionPtr> sessions;            // the newest last
        std::list<std::string>::iterator last_used;  // in order_
    };

    // REQUIRES: mutex_. Each place has its entry in order_.
    bool is_consistent() const noexcept {
        return places_.size() == order_.size() && places_.size() <= kPlaces;
    }

    std::mutex mutex_;
    std::map<std::string, Place> places_;
    std::list<std::string> order_;  // most recently used first
};

}  // namespace uaio::tls
