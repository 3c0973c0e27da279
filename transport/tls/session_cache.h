// Sessions that a client may resume, by the place they are of. Any thread.
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
    // Keeps it, in place of older ones. Without memory it is dropped.
    void keep(const std::string& place, SessionPtr session) noexcept;
    // The newest of that place, null if there is none. One of TLS 1.3 is given out once, so that
    // nobody can tell two connections to be of one client (RFC 8446 C.4).
    SessionPtr take(const std::string& place) noexcept;

private:
    static constexpr std::size_t kPlaces = 1024;
    static constexpr std::size_t kPerPlace = 4;

    struct Place {
        std::vector<SessionPtr> sessions;            // the newest last
        std::list<std::string>::iterator last_used;  // in order_
    };

    std::mutex mutex_;
    std::map<std::string, Place> places_;
    std::list<std::string> order_;  // the place used last in front
};

}  // namespace uaio::tls
