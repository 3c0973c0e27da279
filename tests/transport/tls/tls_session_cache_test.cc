// The sessions that a client's context keeps for later connections, without a connection.
#include "tests/support/allocations.h"
#include "tests/support/kernels.h"
#include "transport/tls/session_cache.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio::tls_session_cache_test {

std::string place(unsigned number) { return "a server with a long name " + std::to_string(number); }

// Of TLS 1.2, which the cache hands out more than once.
tls::SessionPtr session() {
    tls::SessionPtr made(SSL_SESSION_new());
    REQUIRE(made);
    REQUIRE(SSL_SESSION_set_protocol_version(made.get(), TLS1_2_VERSION) == 1);
    return made;
}

TEST_CASE("a session cache evicts the place used longest ago, also after it had no memory") {
    if (!allocations_are_counted()) {
        return report_skip("a sanitizer or valgrind replaces the allocator");
    }
    constexpr unsigned kPlaces = 1024;
    std::uint64_t failures = 0;
    for (bool failed = true; failed; ++failures) {
        tls::SessionCache cache;
        const std::string name = place(0);
        tls::SessionPtr first = session();
        fail_allocation_behind(failures);
        cache.keep(name, std::move(first));
        failed = stop_failing();
        CAPTURE(failures);
        CHECK((cache.take(name) == nullptr) == failed);
        for (unsigned number = 0; number < kPlaces; ++number)
            cache.keep(place(number), session());
        CHECK(cache.take(place(0)));
        cache.keep(place(kPlaces), session());
        CHECK(cache.take(place(0)));
        CHECK_FALSE(cache.take(place(1)));
        CHECK(cache.take(place(2)));
    }
    CHECK(failures > 3);
}

}  // namespace uaio::tls_session_cache_test
