// Reads the head of an HTTP proxy's answer to CONNECT. Unlike the message parser, it accepts what
// old proxies send, as libcurl does: lines that end with a bare line feed, and folded lines. That
// is safe here, since only the status and the challenges are used, and no other parser reads the
// same bytes. Free of I/O, not thread-safe.
#pragma once

#include <uaio/proxy.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::proxy {

class ReplyReader {
public:
    enum class State { need_more, complete, failed };

    static constexpr std::size_t kLineBytes = 16 * 1024;
    static constexpr std::size_t kHeadBytes = 300 * 1024;
    static constexpr std::size_t kLines = 5000;

    // Starts a new answer.
    void reset() { *this = ReplyReader(); }
    // `received` holds all bytes of the answer so far. Throws std::bad_alloc.
    State read(std::string_view received);

    // Once it is complete.
    std::size_t size() const noexcept { return line_; }  // bytes of the head
    int status() const noexcept { return status_; }
    // The values of Proxy-Authenticate.
    const std::vector<std::string>& challenges() const noexcept { return challenges_; }
    // True if another request may follow on the connection, by its fields.
    bool keeps_alive() const noexcept { return !close_ && (minor_ > 0 || keep_alive_); }
    bool chunked() const noexcept { return chunked_; }
    std::optional<std::uint64_t> length() const noexcept { return length_; }

    // Once it failed.
    ProxyErrc error() const noexcept { return error_; }

private:
    State fail(ProxyErrc error) noexcept;
    bool take_status(std::string_view line) noexcept;
    // Parses the complete field_.
    void take_field();

    std::size_t line_ = 0;     // start of the current line
    std::size_t scanned_ = 0;  // end of the bytes searched for its line feed
    std::size_t lines_ = 0;
    std::string field_;  // the last one, which the next line may continue
    int status_ = 0;
    int minor_ = 0;  // of the version
    bool close_ = false;
    bool keep_alive_ = false;
    bool chunked_ = false;
    std::optional<std::uint64_t> length_;
    std::vector<std::string> challenges_;
    ProxyErrc error_{};
};

}  // namespace uaio::proxy
