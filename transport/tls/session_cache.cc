#include "transport/tls/session_cache.h"

#include "base/check.h"

#include <new>
#include <utility>

namespace uaio::tls {

void SessionCache::keep(const std::string& place, SessionPtr session) noexcept {
    const std::lock_guard lock(mutex_);
    DCHECK(is_consistent());
    try {
        auto found = places_.find(place);
        if (found == places_.end()) {
            std::list<std::string> entry(1, place);  // added to order_ once nothing can throw
            found = places_.emplace(place, Place{{}, entry.begin()}).first;
            order_.splice(order_.begin(), entry);
            if (places_.size() > kPlaces) {
                places_.erase(order_.back());
                order_.pop_back();
            }
        }
        std::vector<SessionPtr>& sessions = found->second.sessions;
        // A TLS 1.2 session may be reused, so one is enough.
        if (SSL_SESSION_get_protocol_version(session.get()) < TLS1_3_VERSION) sessions.clear();
        if (sessions.size() == kPerPlace) sessions.erase(sessions.begin());
        sessions.push_back(std::move(session));
    } catch (const std::bad_alloc&) {
        return;  // the next connection makes a full handshake
    }
}

SessionPtr SessionCache::take(const std::string& place) noexcept {
    const std::lock_guard lock(mutex_);
    DCHECK(is_consistent());
    const auto found = places_.find(place);
    if (found == places_.end() || found->second.sessions.empty()) return nullptr;
    order_.splice(order_.begin(), order_, found->second.last_used);
    std::vector<SessionPtr>& sessions = found->second.sessions;
    if (SSL_SESSION_get_protocol_version(sessions.back().get()) < TLS1_3_VERSION) {
        SSL_SESSION_up_ref(sessions.back().get());
        return SessionPtr(sessions.back().get());
    }
    SessionPtr session = std::move(sessions.back());
    sessions.pop_back();
    return session;
}

}  // namespace uaio::tls
