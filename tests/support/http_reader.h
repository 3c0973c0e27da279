// Reads one HTTP message with the parsers of transport/http, split at any offsets, and returns the
// results in comparable form: head, content, trailer and outcome. The bytes given to the parsers
// lie in a block of exactly their size, each time a new one, so that a sanitizer detects a parser
// that reads too far or keeps a pointer. One thread.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_types.h>

#include "transport/http/format/head_parser.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace uaio {

struct SeenMessage {
    http::Progress progress = http::Progress::need_more;
    HttpErrc fault{};
    std::size_t consumed = 0;  // bytes of the whole message
    std::string head;          // all results of the head parser, as text
    http::ContentFraming framing = http::ContentFraming::none;
    std::string content;
    std::string trailer;

    bool accepted() const { return progress == http::Progress::complete; }
    bool refused_with(HttpErrc wanted) const {
        return progress == http::Progress::malformed && fault == wanted;
    }
    friend bool operator==(const SeenMessage&, const SeenMessage&) = default;
};

// The input and the means of reading it.
struct Reading {
    bool response = false;
    std::string_view answer_to = "GET";  // the method, for a response
    http::Limits limits = {};
    const http::Scanner* scanner = nullptr;                  // null: the best one
    http::Strictness strictness = http::Strictness::strict;  // of responses and chunks
    bool usual = false;  // tries the parser of usual heads first, as connections do
};

// A name for tests and readers.
std::string name_of(HttpErrc fault);

// Reads `bytes` in pieces that end at the cuts, in ascending order, and at the end. Content without
// a length extends to the end.
SeenMessage read_message(std::string_view bytes, const Reading& how,
                         std::span<const std::size_t> cuts = {});

// Reads it whole, cut once at every place, and byte by byte, with every scanner, with and without
// the parser of usual heads: the outcome, if it is the same each time. Otherwise `disagreement`
// says where, and the outcome is need_more.
SeenMessage read_every_way(std::string_view bytes, const Reading& how, std::string& disagreement);

}  // namespace uaio
