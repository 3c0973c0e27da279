// Reads one HTTP message with the parsers of transport/http, cut wherever a test wants, and says
// what came out in a form that can be compared: head, content, trailer and how it ended. The bytes
// given to the parsers lie in a block of exactly their size, and in another one each time, so that
// a sanitizer sees a parser that reads too far or keeps a pointer. One thread.
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
    std::string head;          // all that the head parser tells, as text
    http::Body body = http::Body::none;
    std::string content;
    std::string trailer;

    bool accepted() const { return progress == http::Progress::complete; }
    bool refused_with(HttpErrc wanted) const {
        return progress == http::Progress::malformed && fault == wanted;
    }
    friend bool operator==(const SeenMessage&, const SeenMessage&) = default;
};

// What is read, and by which means.
struct Reading {
    bool response = false;
    std::string_view answer_to = "GET";  // the method, for a response
    http::Limits limits = {};
    const http::Scanner* scanner = nullptr;                  // null: the best one
    http::Strictness strictness = http::Strictness::strict;  // of responses and chunks
};

// A name that tests and people can read.
std::string name_of(HttpErrc fault);

// Reads `bytes` in pieces that end at the cuts, in rising order, and at the end. Content without a
// length of its own goes to the end.
SeenMessage read_message(std::string_view bytes, const Reading& how,
                         std::span<const std::size_t> cuts = {});

// Reads it whole, cut once at every place, and byte by byte, with every scanner: the outcome, if it
// is the same each time. Otherwise `disagreement` says where, and the outcome is need_more.
SeenMessage read_every_way(std::string_view bytes, const Reading& how, std::string& disagreement);

}  // namespace uaio
