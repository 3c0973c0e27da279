// The header fields of an HTTP message, in order, as text that can be sent as it is. Names are
// compared without regard to case (RFC 9110 section 5.1) and keep the case they were given. A value
// object: one thread at a time. Views that it gives are valid until it changes.
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

// Nothing in here can end a line or begin another: names are tokens, values hold no control
// characters but the tab, so neither CR, LF nor NUL. Host, Content-Length, Transfer-Encoding and
// Connection are held to their own grammar, and to each other: else it is a code of
// ArgumentErrc, invalid_header_name and so on, and Errc::not_enough_memory without memory; nothing
// has changed then. Clearing keeps the memory, so that an object in use allocates no more.
class Headers {
public:
    class Iterator;

    // The value, or nothing. Of several Set-Cookie fields, the first one's.
    std::optional<std::string_view> get(std::string_view name) const noexcept;
    bool contains(std::string_view name) const noexcept { return find(name) != entries_.size(); }

    // Makes this the only field of the name, in the place of the first one if there are any. White
    // space at the ends of the value is dropped.
    std::error_code set(std::string_view name, std::string_view value) noexcept;

    // Adds to the field of the name, after a comma and a space, since lists in several lines and in
    // one mean the same (RFC 9110 5.3, nng_http_req_add_header(3http)); an empty value adds
    // nothing. Cookie is joined by a semicolon (RFC 6265 4.2.1). Set-Cookie, which is no list,
    // becomes a field of its own. A second Host, Content-Length or Transfer-Encoding is refused.
    // Without such a field it is set().
    std::error_code add(std::string_view name, std::string_view value) noexcept;

    // Deletes all fields of the name and returns how many there were.
    std::size_t erase(std::string_view name) noexcept;

    void clear() noexcept;

    std::size_t size() const noexcept { return entries_.size(); }
    bool empty() const noexcept { return entries_.empty(); }
    // REQUIRES: index < size().
    Field operator[](std::size_t index) const noexcept;
    // In the order in which they are sent.
    Iterator begin() const noexcept;
    Iterator end() const noexcept;

    // All fields as they are sent: each "Name: value" and a line end.
    std::string_view text() const noexcept { return text_; }
    // The one of that index, with its line end. REQUIRES: index < size().
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
