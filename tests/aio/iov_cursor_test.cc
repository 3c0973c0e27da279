#include <uaio/iov_cursor.h>

#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::iov_cursor_test {

std::vector<iovec> list_of(std::string& bytes, const std::vector<std::size_t>& lengths) {
    std::vector<iovec> list;
    char* at = bytes.data();
    for (const std::size_t length : lengths) {
        list.push_back({length > 0 ? at : nullptr, length});
        at += length;
    }
    return list;
}

std::string text_of(std::span<const iovec> entries) {
    std::string text;
    for (const iovec& entry : entries) {
        text.append(static_cast<const char*>(entry.iov_base), entry.iov_len);
    }
    return text;
}

bool same(const std::vector<iovec>& a, const std::vector<iovec>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const iovec& x, const iovec& y) {
        return x.iov_base == y.iov_base && x.iov_len == y.iov_len;
    });
}

TEST_CASE("a cursor over no entries is at its end") {
    IovCursor cursor;
    CHECK(cursor.done());
    CHECK(cursor.rest().empty());
    CHECK(cursor.remaining() == 0);
    CHECK(cursor.entries() == 0);
    cursor.advance(0);
    cursor.rewind();
    CHECK(cursor.done());
}

TEST_CASE("a cursor trims the entry at any split and restores it") {
    std::string bytes = "abcdefghij";
    std::vector<iovec> list = list_of(bytes, {0, 3, 0, 0, 4, 1, 2, 0});
    const std::vector<iovec> before = list;
    for (std::size_t first = 0; first <= bytes.size(); ++first) {
        for (std::size_t second = first; second <= bytes.size(); ++second) {
            IovCursor cursor;
            cursor.assign(list.data(), list.size());
            cursor.advance(first);
            CHECK(text_of(cursor.rest()) == bytes.substr(first));
            CHECK(cursor.remaining() == bytes.size() - first);
            cursor.advance(second - first);
            CHECK(text_of(cursor.rest()) == bytes.substr(second));
            CHECK(cursor.done() == (second == bytes.size()));
            cursor.rewind();
            CHECK(same(list, before));
            CHECK(cursor.remaining() == bytes.size());
        }
    }
}

TEST_CASE("advancing by 0 skips empty entries only") {
    std::string bytes = "abc";
    std::vector<iovec> list = list_of(bytes, {0, 0, 3, 0});
    IovCursor cursor;
    cursor.assign(list.data(), list.size());
    CHECK(cursor.rest().size() == 4);
    cursor.advance(0);
    CHECK(cursor.rest().size() == 2);
    CHECK(cursor.remaining() == 3);
    CHECK(!cursor.done());
    cursor.advance(3);
    CHECK(cursor.done());
}

TEST_CASE("a cursor over empty entries is at its end after advancing by 0") {
    std::string none;
    std::vector<iovec> list = list_of(none, {0, 0, 0});
    IovCursor cursor;
    cursor.assign(list.data(), list.size());
    CHECK(!cursor.done());
    cursor.advance(0);
    CHECK(cursor.done());
}

TEST_CASE("a cursor advanced byte by byte visits all 1024 entries") {
    std::minstd_rand random(3);
    std::vector<std::size_t> lengths(IovCursor::kMaxEntries);
    for (std::size_t& length : lengths)
        length = random() % 4;
    std::string bytes(std::accumulate(lengths.begin(), lengths.end(), std::size_t{0}), '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>('a' + i % 26);
    std::vector<iovec> list = list_of(bytes, lengths);
    const std::vector<iovec> before = list;
    IovCursor cursor;
    cursor.assign(list.data(), list.size());
    CHECK(cursor.entries() == 1024);
    std::string seen;
    while (cursor.advance(0), !cursor.done()) {
        seen += *static_cast<const char*>(cursor.rest().front().iov_base);
        cursor.advance(1);
    }
    CHECK(seen == bytes);
    cursor.rewind();
    CHECK(same(list, before));
}

}  // namespace uaio::iov_cursor_test
