// Two round trips. An accepted head, converted to a message and written again, parses as the same.
// And for any strings that the setters accept, the written head parses as exactly the fields that
// were set, so no string can split it.
#include "tests/fuzz/support/invariants.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/format/serialiser.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace uaio {
namespace {

using namespace http;

// Joined fields may be longer than the parsed ones, and there may be one field more.
constexpr Limits kWide{.start_line = 1 << 20, .field = 1 << 20, .head = 1 << 20, .fields = 300};
using Room = std::array<FieldSlice, 300>;

// The fields of a message as one text, without those that writing may add or omit.
std::string text_of(const Headers& headers) {
    std::string text;
    for (const auto [name, value] : headers) {
        if (same_name(name, "content-length") || same_name(name, "transfer-encoding")) continue;
        if (same_name(name, "connection")) continue;
        text.append(name).append(": ").append(value).append("\n");
    }
    return text;
}

void check_request(const Request& request, Payload payload) {
    std::string head;
    FollowingMessage following;
    if (write_head(request, payload, head, following)) return;
    Room room;
    RequestParser parser(room, kWide);
    const std::string wire = head + "rest";
    const Parsed parsed = parser.parse(wire);
    if (parsed.progress != Progress::complete)
        fuzz::stop("the parser refuses a serialised request", head);
    if (parsed.consumed != head.size())
        fuzz::stop("the parser ends a serialised request early", head);
    const RequestHead& seen = parser.head();
    Request again;
    if (MessageReader::read(seen, again)) fuzz::stop("out of memory");
    if (seen.method != request.method() || seen.target != request.target() ||
        seen.version != request.version() || seen.framing != following.framing ||
        seen.content_length != following.length || seen.keep_alive != following.keep_alive ||
        text_of(again.headers()) != text_of(request.headers()))
        fuzz::stop("the parser returns another request than the serialised one", head);
}

void check_response(const Response& response, const ResponseContext& answered, Payload payload) {
    std::string head;
    FollowingMessage following;
    if (write_head(response, answered, payload, head, following)) return;
    Room room;
    ResponseParser parser(room, kWide);
    parser.reset(answered.method);
    const std::string wire = head + "rest";
    const Parsed parsed = parser.parse(wire);
    if (parsed.progress != Progress::complete)
        fuzz::stop("the parser refuses a serialised response", head);
    if (parsed.consumed != head.size())
        fuzz::stop("the parser ends a serialised response early", head);
    const ResponseHead& seen = parser.head();
    Response again;
    if (MessageReader::read(seen, again)) fuzz::stop("out of memory");
    const bool final = response.status() >= 200 && following.framing != ContentFraming::tunnel;
    if (seen.status != response.status() || seen.reason != response.reason() ||
        seen.framing != following.framing || (final && following.keep_alive && !seen.keep_alive) ||
        (seen.framing == ContentFraming::length && seen.content_length != following.length) ||
        text_of(again.headers()) != text_of(response.headers()))
        fuzz::stop("the parser returns another response than the serialised one", head);
}

// Parses, writes, and parses as the same.
void read_and_write(std::string_view bytes) {
    Room room;
    RequestParser requests(room, kWide);
    if (requests.parse(bytes).progress == Progress::complete) {
        Request request;
        if (MessageReader::read(requests.head(), request)) fuzz::stop("out of memory");
        const ContentFraming framing = requests.head().framing;
        const bool streamed =
            framing == ContentFraming::length || framing == ContentFraming::chunked;
        std::string head;
        FollowingMessage following;
        if (write_head(request, streamed ? Payload::streamed : Payload::attached, head, following))
            fuzz::stop("a parsed request cannot be serialised", bytes);
        if (following.framing != framing)
            fuzz::stop("a serialised request has another framing", head);
        check_request(request, streamed ? Payload::streamed : Payload::attached);
    }
    ResponseParser responses(room, kWide);
    for (const std::string_view method : {"GET", "HEAD", "CONNECT"}) {
        responses.reset(method);
        if (responses.parse(bytes).progress != Progress::complete) continue;
        Response response;
        if (MessageReader::read(responses.head(), response)) fuzz::stop("out of memory");
        check_response(response, {.method = method}, Payload::streamed);
    }
}

// The next string of the input, up to the next NUL or the end; removes both from the input.
std::string_view next(std::string_view& input) {
    const std::size_t end = std::min(input.find('\0'), input.size());
    const std::string_view text = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    return text;
}

void set_all(Message& message, std::string_view& input, std::uint8_t flags) {
    if (flags & 1) message.set_version(Version::http_1_0);
    if (flags & 2) static_cast<void>(message.copy_content(next(input)));
    while (!input.empty()) {
        const std::string_view name = next(input);
        const std::string value(next(input));
        if (flags & 4) {
            static_cast<void>(message.headers().add(name, value));
        } else {
            static_cast<void>(message.headers().set(name, value));
        }
        if (value == "erase") message.headers().erase(name);
    }
}

void set_and_write(std::string_view input) {
    const std::uint8_t flags = input.empty() ? 0 : static_cast<std::uint8_t>(input.front());
    input.remove_prefix(std::min<std::size_t>(1, input.size()));
    const Payload payload = flags & 8 ? Payload::streamed : Payload::attached;
    std::string_view rest = input;
    Request request;
    static_cast<void>(request.set_method(next(rest)));
    if (flags & 16) {
        static_cast<void>(request.set_url(next(rest)));
    } else {
        static_cast<void>(request.set_target(next(rest)));
    }
    set_all(request, rest, flags);
    check_request(request, payload);
    rest = input;
    Response response;
    static_cast<void>(response.set_status(100 + flags * 3));
    static_cast<void>(response.set_reason(next(rest)));
    set_all(response, rest, flags);
    for (const std::string_view method : {"GET", "HEAD", "CONNECT"}) {
        check_response(response,
                       {.method = method,
                        .version = flags & 32 ? Version::http_1_0 : Version::http_1_1,
                        .keep_alive = (flags & 64) != 0},
                       payload);
    }
}

}  // namespace
}  // namespace uaio

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    uaio::read_and_write(input);
    uaio::set_and_write(input);
    return 0;
}
