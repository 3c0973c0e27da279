// Headers are the header fields of an HTTP message, in order, kept as the text that is sent. Names
// are compared without regard to case (RFC 9110 5.1) and keep the case they were given. A value
// object: one thread at a time. Views that it returns are valid until it changes, is assigned to or
// destroyed.
#pragma once

#include <uaio/http_types.h>

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace uaio::http {

// No field can end a line or begin another: names are tokens (RFC 9110 5.6.2), values hold no
// control characters but the tab, so neither CR, LF nor NUL, and may hold bytes above 0x7f. Host,
// Content-Length, Transfer-Encoding ("chunked" alone) and Connection must match their own grammar,
// and be consistent with each other. A setter that refuses a field changes nothing and returns
// ArgumentErrc::invalid_header_name, invalid_header_value or conflicting_header, or
// Errc::not_enough_memory without memory or beyond 4 GiB of text. Arguments are copied, and may be
// views of this object. Members that take a name search all fields, one after another. clear()
// keeps the memory, so that an object in use allocates no more.
class Headers {
public:
    class Iterator;

    // The value, without white space at its ends, or nothing if there is no such field. Of several
    // Set-Cookie fields, the first one's; all other fields of a name are one, joined by add().
    std::optional<std::string_view> get(std::string_view name) const noexcept;
    // Whether there is such a field, even with an empty value.
    bool contains(std::string_view name) const noexcept { return find(name) != entries_.size(); }

    // Makes this the only field of the name, in the place of the first one if there are any, else
    // behind the others. White space at the ends of the value is dropped; it may be empty.
    // conflicting_header: Content-Length while there is a Transfer-Encoding, and the reverse (RFC
    // 9112 6.1).
    [[nodiscard]] std::error_code set(std::string_view name, std::string_view value) noexcept;

    // Adds to the field of the name, after a comma and a space, since lists in several lines and in
    // one mean the same (RFC 9110 5.3, nng_http_req_add_header(3http)); an empty value adds
    // nothing. Cookie is joined by a semicolon (RFC 6265 4.2.1). Set-Cookie, which is no list,
    // becomes a field of its own. A second Host, Content-Length or Transfer-Encoding is refused
    // with conflicting_header. Without such a field it is set().
    [[nodiscard]] std::error_code add(std::string_view name, std::string_view value) noexcept;

    // Deletes all fields of the name and returns how many there were.
    std::size_t erase(std::string_view name) noexcept;

    // Deletes all fields and keeps the memory.
    void clear() noexcept;

    // The number of fields, which is that of lines: joined values count once.
    std::size_t size() const noexcept { return entries_.size(); }
    bool empty() const noexcept { return entries_.empty(); }
    // The field at this place in the order in which they are sent. REQUIRES: index < size().
    Field operator[](std::size_t index) const noexcept;
    // Fields in the order in which they are sent. A change of the Headers invalidates iterators.
    Iterator begin() const noexcept;
    Iterator end() const noexcept;

    // All fields as they are sent: each "Name: value" and CRLF, without the empty line behind them.
    std::string_view text() const noexcept { return text_; }
    // The field at this index as it is sent, with its CRLF. REQUIRES: index < size().
    std::string_view line(std::size_t index) const noexcept;

private:
    friend class MessageReader;  // fills it from a head that the parser has accepted

    struct Entry {  // places in text_
        std::uint32_t begin;
        std::uint32_t name_size;
        std::uint32_t value;
        std::uint32_t value_size;
    };

    // The index of the first field of the name from `from` on, size() if there is none.
    std::size_t find(std::string_view name, std::size_t from = 0) const noexcept;
    bool owns(std::string_view text) const noexcept;
    // The entry describes a whole line of text_, which ends where the next one begins.
    bool is_line(std::size_t index) const noexcept;
    // The next three have their arguments checked and free of aliases, and throw std::bad_alloc
    // with nothing changed.
    void append(std::string_view name, std::string_view value);
    void replace(std::size_t index, std::string_view name, std::string_view value);
    void join(std::size_t index, std::string_view value);
    void add_checked(std::string_view name, std::string_view value);
    void erase_at(std::size_t index) noexcept;
    // The fields behind this one begin `shift` bytes later.
    void move_behind(std::size_t index, std::ptrdiff_t shift) noexcept;

    std::string text_;
    std::vector<Entry> entries_;
};

// Yields Fields by value, for range-based for: `for (const auto& [name, value] : headers)`. Refers
// to its Headers by address, which must outlive it unmoved.
class Headers::Iterator {
public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Field;

    Iterator() = default;
    Field operator*() const noexcept { return (*headers_)[index_]; }
    Iterator& operator++() noexcept {
        ++index_;
        return *this;
    }
    Iterator operator++(int) noexcept {
        const Iterator before = *this;
        ++index_;
        return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
        return a.index_ == b.index_;
    }

private:
    friend class Headers;
    Iterator(const Headers* headers, std::size_t index) noexcept
        : headers_(headers), index_(index) {}

    const Headers* headers_ = nullptr;
    std::size_t index_ = 0;
};

inline Headers::Iterator Headers::begin() const noexcept { return {this, 0}; }
inline Headers::Iterator Headers::end() const noexcept { return {this, size()}; }

}  // namespace uaio::http
