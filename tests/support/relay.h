// Servers written with the library, as coroutines: one that greets and echoes, and an HTTP proxy
// that relays every CONNECT to one target. Over any acceptor, on an engine that the test runs. They
// end when their acceptor is closed and their connections have ended.
#pragma once

#include <uaio/endpoint.h>
#include <uaio/stream.h>
#include <uaio/task.h>

#include <string>

namespace uaio {

inline constexpr std::string_view kGreeting = "hello from this server\n";

// Greets at once, and echoes everything.
Task<> serve_echo(Acceptor& acceptor);

// Answers any request with a 200 and `early` in one write, and relays to and from `target`.
Task<> serve_proxy(Acceptor& acceptor, Endpoint target, std::string early = {});

}  // namespace uaio
