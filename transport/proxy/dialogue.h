// A protocol with a proxy that precedes the user's bytes, free of I/O: text in, text out. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::proxy {

// The result of consuming received bytes.
struct Progress {
    enum class State {
        need_more,  // call again with the same bytes and more after them
        advanced,   // drop `consumed` bytes, write what was appended, and call again with the rest
        done,       // `consumed` bytes were the proxy's; the rest is the tunnel's
        failed,     // by `error`
    };
    State state = State::need_more;
    std::size_t consumed = 0;
    std::error_code error = {};

    static Progress fail(std::error_code error) noexcept { return {State::failed, 0, error}; }
};

class Dialogue {
public:
    virtual ~Dialogue() = default;

    // Appends to `out` the first bytes to send on a connection, if any. Throws std::bad_alloc.
    [[nodiscard]] virtual std::error_code begin(std::string& out) = 0;
    // `received` holds all bytes received and not consumed, divided in any way. Appends bytes to
    // send to `out`. Throws std::bad_alloc.
    virtual Progress consume(std::string_view received, std::string& out) = 0;
};

}  // namespace uaio::proxy
