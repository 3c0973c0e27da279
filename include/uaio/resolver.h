// Names to addresses without stopping an engine: getaddrinfo(3), which blocks and cannot be
// interrupted, runs on threads of the Resolver's own, and an operation that is cancelled or expires
// ends at once and leaves its lookup behind. What was found is kept for a while. In a child of
// fork(2) a Resolver of the parent begins anew, with nothing kept. Any thread.
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

// Why a name gave no address (the codes of getaddrinfo(3), in groups that tell what to do).
enum class ResolveErrc {
    name_not_found = 1,  // EAI_NONAME: nobody has that name
    no_address,          // EAI_NODATA, EAI_ADDRFAMILY: the name has no address of the kind wanted
    try_again,           // EAI_AGAIN: no name server answered
    server_failed,       // EAI_FAIL: a name server answered that it cannot tell
    bad_name,            // empty, longer than 253 bytes, or with a character that no name has
    failed,              // EAI_SYSTEM and others: the machine itself is in trouble
    bad_rule,            // of NameOverrides or DialOptions::connect_to: not written as it should be
};

// The category of ResolveErrc; its name() is "resolve".
const std::error_category& resolve_category() noexcept;
std::error_code make_error_code(ResolveErrc) noexcept;

enum class AddressFamily : std::uint8_t { any, v4, v6 };

// Finds the addresses of `name`, of this family, and appends them to `out`; ports are ignored. May
// block. Runs on several threads at a time. What it throws counts as not_enough_memory.
using Lookup = std::function<std::error_code(const std::string& name, AddressFamily family,
                                             std::vector<Endpoint>& out)>;

struct ResolverOptions {
    // Lookups at a time; more wait. They are started as they are needed. 0: on the engine's thread,
    // for a `lookup` that does not block, such as that of a test on a simulated kernel.
    unsigned threads = 8;
    // Threads beyond those, each in place of one whose lookup hangs although every operation that
    // asked for it was cancelled or has expired: lookups that nothing waits for any more stop no
    // others, unless there are more of them than this.
    unsigned spare_threads = 16;
    // How long addresses are kept (CURLOPT_DNS_CACHE_TIMEOUT has 60 s as well; getaddrinfo does not
    // tell the time that the name's owner allows). Zero: not at all. Failures are never kept.
    std::chrono::nanoseconds cache_time = std::chrono::seconds(60);
    // Names that are kept; the oldest goes first.
    std::size_t cache_entries = 1024;
    // In place of getaddrinfo(3).
    Lookup lookup = {};
};

class Resolver {
public:
    explicit Resolver(const ResolverOptions& options = {});
    // Operations still pending end with Errc::closed. Lookups under way are left to end by
    // themselves, on threads that this does not wait for.
    ~Resolver();

    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Puts the addresses of `name`, at least one, each with this port, into `out`, in the order of
    // RFC 6724; `out` must live until the callback, and is untouched after an error. An address in
    // numbers, with or without the brackets of a URL, is taken as it is; "localhost" and names that
    // end in ".localhost" are the loopback addresses (RFC 6761 6.3). Neither needs a thread. Aios
    // that ask for the same name at a time share one lookup. Errors: a ResolveErrc; what a `lookup`
    // of the user's says; Errc::closed; not_enough_memory; the errno of pthread_create(3). The
    // Aio's vector is not used and its count() is 0. Allocates. Any thread.
    void resolve(std::string_view name, std::uint16_t port, AddressFamily family, Aio& aio,
                 std::vector<Endpoint>& out) noexcept;

    // Forgets what was kept. Lookups under way keep theirs. Any thread.
    void clear_cache() noexcept;

private:
    ResolverCore* core_of_this_process() noexcept;

    std::atomic<ResolverCore*> core_;
};

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::ResolveErrc> : std::true_type {};
