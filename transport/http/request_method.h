// The method of a request, as far as it determines the framing of its response. Values; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace uaio::http {

// `upgrade`: any method, with an Upgrade field.
enum class RequestMethod : std::uint8_t { other, head, connect, upgrade };

RequestMethod request_method(std::string_view method) noexcept;
// A method with that framing, for ResponseParser and ResponseContext.
std::string_view method_of(RequestMethod asked) noexcept;

}  // namespace uaio::http
