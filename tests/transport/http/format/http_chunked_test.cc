// Chunked content, whole and cut at every place. The names in brackets refer to
// docs/http_contract.md.
#include <uaio/http_error.h>

#include "tests/support/http_reader.h"
#include "transport/http/format/chunked.h"

#include <doctest/doctest.h>

namespace uaio::http_chunked_test {

using http::Limits;

const std::string kEnd = "0\r\n\r\n";

SeenMessage chunks(std::string_view bytes, const Limits& limits = {}) {
    const std::string text(bytes.substr(0, 200));
    CAPTURE(text);
    const std::string message =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(bytes);
    std::string disagreement;
    const SeenMessage seen = read_every_way(message, {.limits = limits}, disagreement);
    CHECK(disagreement == "");
    return seen;
}

void check_refused(std::string_view bytes, HttpErrc fault) {
    const SeenMessage seen = chunks(bytes);
    CHECK(seen.progress == http::Progress::malformed);
    CHECK(name_of(seen.fault) == name_of(fault));
}

TEST_CASE("a decoder joins chunks and stores their trailer separately (V3, V6, K16)") {
    CHECK(chunks("5\r\nhello\r\n" + kEnd).content == "hello");
    CHECK(chunks("5\r\nhello\r\n1\r\n!\r\n" + kEnd).content == "hello!");
    CHECK(chunks("a\r\n0123456789\r\nB\r\n0123456789X\r\n" + kEnd).content ==
          "01234567890123456789X");
    CHECK(chunks(kEnd).accepted());
    CHECK(chunks("000\r\n\r\n").accepted());
    CHECK(chunks("0000000000000005\r\nhello\r\n" + kEnd).content == "hello");
    const SeenMessage seen = chunks(
        "5;e=\"q;r\"\r\nhello\r\n0\r\nT: v\r\nContent-Length: 7\r\nHost: b\r\n"
        "Transfer-Encoding: x\r\nAuthorization: y\r\n\r\nnext");
    CHECK(seen.content == "hello");
    CHECK(seen.trailer == "T=v\nContent-Length=7\nHost=b\nTransfer-Encoding=x\nAuthorization=y\n");
    CHECK(seen.head.find("T=v") == seen.head.npos);
    CHECK(seen.head.find("[a]") != seen.head.npos);
}

TEST_CASE("the size of a chunk consists of hexadecimal digits only (K1 to K4)") {
    for (const char* const size : {"0x5", "+5", "5_", "", "-5", " 5", "\t5", "5.", "g", "5,",
                                   "\"5\"", "\xb2", "0X5", "5h"}) {
        check_refused(size + std::string("\r\nhello\r\n") + kEnd, HttpErrc::bad_chunk_size);
    }
}

TEST_CASE("a chunk size that overflows is refused (K5)") {
    check_refused("10000000000000005\r\nhello\r\n" + kEnd, HttpErrc::bad_chunk_size);
    check_refused("00000000000000005\r\nhello\r\n" + kEnd, HttpErrc::bad_chunk_size);
    check_refused("ffffffffffffffff\r\nhello\r\n" + kEnd, HttpErrc::chunk_too_large);
    check_refused("8000000000000000\r\nhello\r\n" + kEnd, HttpErrc::chunk_too_large);
    CHECK(chunks("7fffffffffffffff\r\nhello").progress == http::Progress::need_more);
}

TEST_CASE("the chunk size line ends with CRLF (K6, K8)") {
    check_refused("5\nhello\r\n" + kEnd, HttpErrc::bare_line_feed);
    check_refused("5;a\nhello\r\n" + kEnd, HttpErrc::bare_line_feed);
    check_refused("5;a=\"\n\"\r\nhello\r\n" + kEnd, HttpErrc::bare_line_feed);
    check_refused("5\rhello\r\n" + kEnd, HttpErrc::bare_carriage_return);
    check_refused("5;a\rhello\r\n" + kEnd, HttpErrc::bare_carriage_return);
    check_refused("0\n\n", HttpErrc::bare_line_feed);
}

TEST_CASE("a chunk that is longer or shorter than its size is refused (K7)") {
    check_refused("5\r\nhelloXX" + kEnd, HttpErrc::bad_chunk_end);
    check_refused("5\r\nhello\n" + kEnd, HttpErrc::bad_chunk_end);
    check_refused("5\r\nhello\rX" + kEnd, HttpErrc::bad_chunk_end);
    check_refused("4\r\nhello\r\n" + kEnd, HttpErrc::bad_chunk_end);
    check_refused("6\r\nhello\r\n" + kEnd, HttpErrc::bad_chunk_end);
}

TEST_CASE("chunk extensions are checked and dropped") {
    for (const char* const extension :
         {";a", ";a=b", ";a=\"b\"", ";a=\"\\\"\\\\;\t\xff\"", " ;a", "\t; a = b", ";a ;b",
          ";a=b ;c=\"d\"", ";a=b;c", ";a=\"\""}) {
        CAPTURE(extension);
        CHECK(chunks("5" + std::string(extension) + "\r\nhello\r\n" + kEnd).content == "hello");
    }
    for (const char* const extension :
         {";", "; ", ";;", ";=b", ";a=", ";a==b", ";a=\"b", ";a=\"b\"c", " ", ";a ", ";a b",
          ";a=b c", ";a=\"b\" ", ";a@", " a", ";a=\"\x01\"", ";a=\"\\\x7f\"", ";\x80"}) {
        check_refused("5" + std::string(extension) + "\r\nhello\r\n" + kEnd,
                      HttpErrc::bad_chunk_extension);
    }
}

TEST_CASE("chunk extensions beyond their limits are refused (K14)") {
    const Limits usual;
    const auto chunk = [](std::size_t size) {
        return "1;" + std::string(size - 1, 'x') + "\r\nA\r\n";
    };
    CHECK(chunks(chunk(usual.chunk_extension) + kEnd).accepted());
    CHECK(chunks(chunk(usual.chunk_extension + 1) + kEnd)
              .refused_with(HttpErrc::chunk_extension_too_long));
    const std::string flood = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;" +
                              std::string(70000, 'x');
    CHECK(read_message(flood, {}).refused_with(HttpErrc::chunk_extension_too_long));
    Limits limits;
    limits.chunk_extensions = 12;
    CHECK(chunks(chunk(4) + chunk(4) + chunk(4) + kEnd, limits).accepted());
    CHECK(chunks(chunk(4) + chunk(4) + chunk(5) + kEnd, limits)
              .refused_with(HttpErrc::chunk_extension_too_long));
}

TEST_CASE("a trailer consists of fields and an empty line (K12)") {
    CHECK(chunks("0\r\nXX").progress == http::Progress::need_more);
    check_refused("0\r\nXX\r\n\r\n", HttpErrc::bad_field_name);
    check_refused("0\r\nX X: y\r\n\r\n", HttpErrc::bad_field_name);
    check_refused("0\r\n: y\r\n\r\n", HttpErrc::bad_field_name);
    check_refused("0\r\nX: y\r\n z\r\n\r\n", HttpErrc::folded_field);
    check_refused("0\r\nX: y\n\r\n", HttpErrc::bare_line_feed);
    check_refused("0\r\n\n", HttpErrc::bare_line_feed);
    check_refused("0\r\n\rX", HttpErrc::bare_carriage_return);
    check_refused("0\r\nX: \x01\r\n\r\n", HttpErrc::bad_field_value);
}

TEST_CASE("a trailer beyond its limits is refused") {
    Limits limits;
    limits.trailer = 14;
    CHECK(chunks("0\r\nX: yyyyyyy\r\n\r\n", limits).accepted());
    CHECK(chunks("0\r\nX: yyyyyyyy\r\n\r\n", limits).refused_with(HttpErrc::head_too_long));
    limits = {};
    limits.fields = 3;
    CHECK(chunks("0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits).accepted());
    CHECK(chunks("0\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\n\r\n", limits)
              .refused_with(HttpErrc::too_many_fields));
}

TEST_CASE("skip() passes the bytes of a chunk around the decoder") {
    http::ChunkedDecoder decoder({});
    http::Chunked step = decoder.decode("a\r\n");
    CHECK(step.outcome == http::Chunked::Outcome::need_more);
    CHECK(decoder.chunk_left() == 10);
    decoder.skip(0);
    decoder.skip(4);
    step = decoder.decode("456789");
    CHECK(step.data == "456789");
    CHECK(decoder.chunk_left() == 0);
    CHECK(decoder.decode("\r\n3\r\n").consumed == 5);
    decoder.skip(3);
    step = decoder.decode("\r\n0\r\n\r\nnext");
    CHECK(step.outcome == http::Chunked::Outcome::complete);
    CHECK(step.consumed == 7);
    decoder.reset();
    CHECK(decoder.decode("1\r\nx").data == "x");
}

TEST_CASE("a parser that has refused a message refuses all later bytes") {
    http::ChunkedDecoder decoder({});
    CHECK(decoder.decode("x").fault == HttpErrc::bad_chunk_size);
    CHECK(decoder.decode("5\r\nhello\r\n").fault == HttpErrc::bad_chunk_size);
    http::FieldSlice room[4];
    http::RequestParser request(room);
    CHECK(request.parse("(").fault == HttpErrc::bad_start_line);
    CHECK(request.parse("GET / HTTP/1.1\r\n").fault == HttpErrc::bad_start_line);
    http::ResponseParser response(room);
    CHECK(response.parse("HTTP/1.1 200 OK\r\n:").fault == HttpErrc::bad_field_name);
    CHECK(response.parse("HTTP/1.1 200 OK\r\nA:").fault == HttpErrc::bad_field_name);
}

TEST_CASE("the decoder reads the heads that chunk_head() writes") {
    std::array<char, http::kChunkHeadSize> room;
    CHECK(http::chunk_head(1, true, room) == "1\r\n");
    CHECK(http::chunk_head(26, false, room) == "\r\n1a\r\n");
    CHECK(http::chunk_head(UINT64_MAX, false, room) == "\r\nffffffffffffffff\r\n");
    std::string wire;
    for (const std::string_view piece : {"hello", ", ", "world"})
        wire.append(http::chunk_head(piece.size(), wire.empty(), room)).append(piece);
    CHECK(chunks(wire + std::string(http::kLastChunk)).content == "hello, world");
    CHECK(chunks(http::kOnlyChunk).accepted());
}

}  // namespace uaio::http_chunked_test
