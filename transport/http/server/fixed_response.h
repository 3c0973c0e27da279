// The response of http::fixed_content(). Its head is serialised once, for the usual request: over
// HTTP/1.1, neither HEAD nor CONNECT, on a connection that stays open. Constant; any thread.
#pragma once

#include <uaio/http_message.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace uaio::http {

class Exchange;

class FixedResponse {
public:
    // Throws std::bad_alloc, and std::system_error for a type that no field can have.
    FixedResponse(std::string content, std::string_view type);

    // Sends it and ends the exchange, which holds it until the stream below has returned the
    // content. Throws std::bad_alloc.
    static void send(const std::shared_ptr<const FixedResponse>& fixed, Exchange& exchange);

    const Response& response() const noexcept { return response_; }
    std::string_view content() const noexcept { return content_; }
    // The head, without a Date and the empty line.
    std::string_view head() const noexcept { return head_; }
    // Distinguishes it from every other one, also after its end.
    std::uint64_t number() const noexcept { return number_; }

private:
    const std::string content_;
    Response response_;
    std::string head_;
    const std::uint64_t number_;
};

}  // namespace uaio::http
