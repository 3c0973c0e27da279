// Message verbs of an http::Connection as calls: each submits, runs the engine until the operation
// has ended, and returns the result. For the thread of the ConnectionFixture.
#pragma once

#include <uaio/http.h>

#include "tests/support/connection_fixture.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio {

// Reads the head of a request in one call.
inline Ended read_request(ConnectionFixture& fixture, http::Request& request) {
    Operation read(fixture.engine());
    fixture.connection().read_request(request, read.aio);
    REQUIRE(fixture.run_until_done(read));
    return read.ended();
}

inline Ended write_response(ConnectionFixture& fixture, http::Response& response) {
    Operation write(fixture.engine());
    fixture.connection().write_response(response, write.aio);
    REQUIRE(fixture.run_until_done(write));
    return write.ended();
}

// All of the content, read in pieces of this size.
inline std::string read_content(ConnectionFixture& fixture, std::size_t piece, Ended& last) {
    std::string content;
    for (;;) {
        std::string in(piece, '\0');
        Operation read(fixture.engine(), in);
        fixture.connection().read_content().read(read.aio);
        REQUIRE(fixture.run_until_done(read));
        last = read.ended();
        content.append(in, 0, last.count);
        if (last.error) return content;
    }
}

}  // namespace uaio
