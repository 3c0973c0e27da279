#include "bench/peers/http_parser_heads.h"

#include "bench/support/contest.h"

#include <array>
#include <stdexcept>

#if UAIO_BENCH_HTTP_PARSER

#include <http_parser.h>

namespace uaio::bench {

struct HttpParserHeads::State {
    struct Slice {
        std::string_view name;
        std::string_view value;
    };
    http_parser parser{};
    http_parser_settings settings{};
    std::string_view target;
    std::array<Slice, 100> fields;
    std::size_t count = 0;

    static State& of(http_parser* parser) { return *static_cast<State*>(parser->data); }
};

HttpParserHeads::HttpParserHeads() : state_(std::make_unique<State>()) {
    http_parser_settings& settings = state_->settings;
    http_parser_settings_init(&settings);
    settings.on_url = [](http_parser* parser, const char* at, std::size_t size) {
        State::of(parser).target = {at, size};
        return 0;
    };
    settings.on_header_field = [](http_parser* parser, const char* at, std::size_t size) {
        State& state = State::of(parser);
        state.fields[state.count].name = {at, size};
        return 0;
    };
    settings.on_header_value = [](http_parser* parser, const char* at, std::size_t size) {
        State& state = State::of(parser);
        state.fields[state.count++].value = {at, size};
        return 0;
    };
    state_->parser.data = state_.get();
}

HttpParserHeads::~HttpParserHeads() = default;

std::size_t HttpParserHeads::read(std::string_view request) {
    http_parser& parser = state_->parser;
    state_->count = 0;
    http_parser_init(&parser, HTTP_REQUEST);
    http_parser_execute(&parser, &state_->settings, request.data(), request.size());
    if (const http_errno error = HTTP_PARSER_ERRNO(&parser); error != HPE_OK)
        throw std::runtime_error(http_errno_name(error));
    return state_->count;
}

}  // namespace uaio::bench

#else

namespace uaio::bench {

struct HttpParserHeads::State {};

HttpParserHeads::HttpParserHeads() {
    throw Unavailable("the program was built without libhttp-parser-dev");
}
HttpParserHeads::~HttpParserHeads() = default;
std::size_t HttpParserHeads::read(std::string_view) { return 0; }

}  // namespace uaio::bench

#endif
