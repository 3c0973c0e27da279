// What is said with a proxy before it carries the user's bytes, free of I/O: text in, text out. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio::proxy {

// What a Dialogue made of the bytes it heard.
struct Progress {
    enum class State {
        need_more,  // call again with the same bytes and more behind them
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

    // Appends to `out` what is said first on a connection; nothing is fine. Throws std::bad_alloc.
    virtual std::error_code begin(std::string& out) = 0;
    // `received` holds all bytes that came and were not consumed. What it appends to `out` is to be
    // written. How the bytes were cut does not matter. Throws std::bad_alloc.
    virtual Progress consume(std::string_view received, std::string& out) = 0;
};

}  // namespace uaio::proxy
