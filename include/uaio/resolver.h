// A Resolver finds the addresses of names without blocking an engine: getaddrinfo(3), which cannot
// be interrupted, runs on threads of the Resolver's own, and an operation that is cancelled or
// expires ends at once and detaches its lookup. Addresses are cached. One Resolver may serve many
// engines. In a child of fork(2) a Resolver of the parent begins anew, with an empty cache and
// threads of its own. Any thread.
#pragma once

#include <uaio/aio.h>
#include <uaio/endpoint.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace uaio {

class ResolverCore;

// Why a name gave no address: the codes of getaddrinfo(3), grouped by what to do about them.
// EAI_MEMORY is Errc::not_enough_memory.
enum class ResolveErrc {
    name_not_found = 1,  // EAI_NONAME: the name does not exist; check its spelling
    // EAI_NODATA, EAI_ADDRFAMILY: the name exists and has no address of the family wanted. An
    // address in numbers of the other family ends with this, too.
    no_address,
    try_again,      // EAI_AGAIN: no name server answered in time
    server_failed,  // EAI_FAIL: a name server answered with a permanent failure
    // Empty, longer than 253 bytes (RFC 1035 2.3.4), or with a blank or control character. No
    // lookup was made.
    bad_name,
    failed,    // EAI_SYSTEM and others: this machine lacks descriptors, or its set-up is broken
    bad_rule,  // DialOptions::resolve or connect_to: malformed
};

// The category of ResolveErrc; its name() is "resolve". Never destroyed, as error_category().
const std::error_category& resolve_category() noexcept;
// Lets a ResolveErrc convert to std::error_code and compare with one.
[[nodiscard]] std::error_code make_error_code(ResolveErrc) noexcept;

// IPv4 (AF_INET), IPv6 (AF_INET6), or both. `any` does not use AI_ADDRCONFIG of getaddrinfo(3):
// IPv6 addresses are found on machines without IPv6, too, where connecting to them fails.
enum class AddressFamily : std::uint8_t { any, v4, v6 };

// Finds the addresses of `name`, of this family, and appends them to `out`; ports are ignored. May
// block. Called by several threads at a time, which block the program's signals. An error code that
// it returns is the operation's result; no error and no address is ResolveErrc::no_address. An
// exception ends the operation with Errc::not_enough_memory.
using Lookup = std::function<std::error_code(const std::string& name, AddressFamily family,
                                             std::vector<Endpoint>& out)>;

struct ResolverOptions {
    // Threads, and so lookups at a time; further names wait for one. A thread is started when a
    // name needs it and stays until the Resolver is destroyed. 0: lookups run on the engine's
    // thread, for a `lookup` that does not block, such as that of a test on a SimKernel;
    // getaddrinfo(3) would block the engine.
    unsigned threads = 8;
    // Threads beyond those. One is started for each lookup that hangs although every operation that
    // asked for it was cancelled or has expired, so that detached lookups delay no others, up to
    // this number of them.
    unsigned spare_threads = 16;
    // The time for which addresses stay in the cache, from the request that looked them up. As long
    // as CURLOPT_DNS_CACHE_TIMEOUT: getaddrinfo(3) does not report the time to live of a name. Zero
    // or less: no cache. Failures are not cached.
    std::chrono::nanoseconds cache_time = std::chrono::seconds(60);
    // Names in the cache, of each family; the oldest entry is replaced. 0: no cache.
    std::size_t cache_entries = 1024;
    // In place of getaddrinfo(3). Copied. Objects that it refers to must live until detached
    // lookups have ended, which may be after the Resolver's destructor.
    Lookup lookup = {};
};

// Caches addresses, and lets operations share lookups. Destroy it after the Dialers that use
// it.
class Resolver {
public:
    // Starts no thread. Throws std::bad_alloc.
    explicit Resolver(const ResolverOptions& options = {});
    // Operations still pending end with Errc::closed, by their callbacks. Waits for idle threads to
    // end, which is immediate; lookups under way are detached, and their threads end with them.
    ~Resolver();

    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Replaces the content of `out` by the addresses of `name`, at least one, each with this port,
    // in the order of RFC 6724 (gai.conf(5)), without repetitions; `out` must live until the
    // callback, and is untouched after an error. `name` is copied. An address in numbers, with or
    // without the brackets of a URL, is taken as it is; "localhost" and names that end in
    // ".localhost" are [::1] and 127.0.0.1 (RFC 6761 6.3). These, and names in the cache, need no
    // thread. Aios of any engines that ask for the same name and family at a time share one lookup.
    // Names are compared byte by byte; those with bytes beyond ASCII are passed on as they are.
    //
    // Errors: a ResolveErrc; the error of a `lookup` of the user's; Errc::canceled and timed_out,
    // at once, the lookup being detached; Errc::closed, if Resolver or engine is destroyed;
    // Errc::not_enough_memory; the errno of pthread_create(3), such as EAGAIN, if no thread runs
    // yet and none can be started. The Aio's buffers are not used and its count() is 0. Allocates.
    // Any thread.
    void resolve(std::string_view name, std::uint16_t port, AddressFamily family, Aio& aio,
                 std::vector<Endpoint>& out) noexcept;

    // Empties the cache. Lookups under way still enter it when they end. Any thread.
    void clear_cache() noexcept;

private:
    ResolverCore* core_of_this_process() noexcept;

    std::atomic<ResolverCore*> core_;
};

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::ResolveErrc> : std::true_type {};
