// The head that a connection is receiving. A head that is complete is parsed on the stack; one that
// arrives in pieces gets a parser of its own, which scans each byte once. Skips the interim
// responses before a final one. No I/O. Engine's thread only.
#pragma once

#include "base/check.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/format/usual_head.h"
#include "transport/http/receive_buffer.h"
#include "transport/http/request_method.h"

#include <array>
#include <memory>
#include <optional>
#include <type_traits>
#include <variant>
#include <vector>

namespace uaio::http {

class IncomingHead {
public:
    enum class Outcome : std::uint8_t { complete, incomplete, malformed, no_memory };
    struct Result {
        Outcome outcome = Outcome::incomplete;
        HttpErrc fault = kFine;  // malformed: the error
    };

    // Parses the head at the front of `buffer`, which is not empty. If it is complete, calls
    // take(const RequestHead&), whose views are valid during the call, and drops its bytes. Call
    // again when more bytes have arrived behind the others.
    template <class Take>
    Result read_request(ReceiveBuffer& buffer, const Limits& limits, Take take) noexcept;
    // The same for a response to the request `asked`, if that is known.
    template <class Take>
    Result read_response(ReceiveBuffer& buffer, const Limits& limits, Strictness strictness,
                         std::optional<RequestMethod> asked, Take take) noexcept;
    // Another reader has taken bytes from the front of the buffer.
    void forget() noexcept { kept_.reset(); }

private:
    // A complete head with at most this many fields is parsed on the stack.
    static constexpr std::size_t kUsualFields = 100;
    static_assert(kUsualFields * sizeof(FieldSlice) <= 2048, "too much for the stack");

    struct Kept {  // a parser that has parsed the first part of a head
        Kept(const Limits& limits, Strictness strictness, bool is_request);

        std::vector<FieldSlice> room;
        std::variant<std::monostate, RequestParser, ResponseParser> parser;
    };

    template <class Parser>
    bool keeps() const noexcept {
        return kept_ && std::holds_alternative<Parser>(kept_->parser);
    }
    // False if out of memory.
    bool keep(const Limits& limits, Strictness strictness, bool is_request) noexcept;
    // True if the stack lacked room that the limits allow.
    static bool needs_room(const Result& result, const Limits& limits) noexcept {
        return result.fault == HttpErrc::too_many_fields && limits.fields > kUsualFields;
    }
    HttpErrc fault_of_status(int status, std::optional<RequestMethod> asked) noexcept;
    template <class Parser, class Take>
    Result parse(ReceiveBuffer& buffer, Parser& parser, std::optional<RequestMethod> asked,
                 Take& take) noexcept;

    std::unique_ptr<Kept> kept_;
    unsigned interim_ = 0;  // interim responses (1xx) before the final one
};

template <class Take>
IncomingHead::Result IncomingHead::read_request(ReceiveBuffer& buffer, const Limits& limits,
                                                Take take) noexcept {
    DCHECK(!buffer.empty());
    if (!keeps<RequestParser>()) {
        kept_.reset();
        std::array<FieldSlice, kUsualFields> room;
        const Scanner& scanner = best_scanner();
        RequestHead usual;
        if (const auto size = parse_usual(buffer.bytes(), room, limits, scanner, usual)) {
            take(usual);
            buffer.consume(size);
            return {Outcome::complete};
        }
        RequestParser parser(room, limits, scanner);
        const Result result = parse(buffer, parser, std::nullopt, take);
        if (result.outcome != Outcome::incomplete && !needs_room(result, limits)) return result;
        if (!keep(limits, Strictness::strict, true)) return {Outcome::no_memory};
    }
    return parse(buffer, std::get<RequestParser>(kept_->parser), std::nullopt, take);
}

template <class Take>
IncomingHead::Result IncomingHead::read_response(ReceiveBuffer& buffer, const Limits& limits,
                                                 Strictness strictness,
                                                 std::optional<RequestMethod> asked,
                                                 Take take) noexcept {
    DCHECK(!buffer.empty());
    const std::string_view method = method_of(asked.value_or(RequestMethod::other));
    if (!keeps<ResponseParser>()) {
        kept_.reset();
        std::array<FieldSlice, kUsualFields> room;
        const Scanner& scanner = best_scanner();
        ResponseHead usual;
        if (const auto size = parse_usual(buffer.bytes(), room, limits, scanner, method, usual)) {
            interim_ = 0;
            take(usual);
            buffer.consume(size);
            return {Outcome::complete};
        }
        ResponseParser parser(room, limits, scanner, strictness);
        parser.reset(method);
        const Result result = parse(buffer, parser, asked, take);
        if (result.outcome != Outcome::incomplete && !needs_room(result, limits)) return result;
        if (buffer.empty()) return result;  // behind an interim response
        if (!keep(limits, strictness, false)) return {Outcome::no_memory};
        std::get<ResponseParser>(kept_->parser).reset(method);
    }
    return parse(buffer, std::get<ResponseParser>(kept_->parser), asked, take);
}

template <class Parser, class Take>
IncomingHead::Result IncomingHead::parse(ReceiveBuffer& buffer, Parser& parser,
                                         std::optional<RequestMethod> asked, Take& take) noexcept {
    for (;;) {
        const Parsed parsed = parser.parse(buffer.bytes());
        if (parsed.progress == Progress::need_more) return {Outcome::incomplete};
        if (parsed.progress == Progress::malformed) return {Outcome::malformed, parsed.fault};
        DCHECK(parsed.consumed > 0 && parsed.consumed <= buffer.bytes().size());
        if constexpr (std::is_same_v<Parser, ResponseParser>) {
            const int status = parser.head().status;
            if (const HttpErrc fault = fault_of_status(status, asked); fault != kFine) {
                return {Outcome::malformed, fault};
            }
            // The final response follows the interim ones (RFC 9110 15.2).
            if (status < 200 && status != 101) {
                buffer.consume(parsed.consumed);
                parser.reset(method_of(asked.value_or(RequestMethod::other)));
                continue;
            }
        }
        take(parser.head());
        buffer.consume(parsed.consumed);
        kept_.reset();  // frees the parser
        return {Outcome::complete};
    }
}

}  // namespace uaio::http
