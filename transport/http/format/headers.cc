#include <uaio/argument_error.h>
#include <uaio/error.h>
#include <uaio/http_headers.h>

#include "base/check.h"
#include "transport/http/format/framing.h"
#include "transport/http/format/syntax.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <new>

namespace uaio::http {
namespace {

constexpr std::string_view kSeparator = ": ";

// Fields that may occur only once and determine framing or routing.
bool is_single(std::string_view name) noexcept {
    return same_name(name, "host") || same_name(name, "content-length") ||
           same_name(name, "transfer-encoding");
}

// Applies the rules by which a recipient would reject the field.
std::error_code check(std::string_view name, std::string_view value) noexcept {
    if (!is_token(name)) return ArgumentErrc::invalid_header_name;
    if (!all_are(kValue, value)) return ArgumentErrc::invalid_header_value;
    Framing framing;
    if (framing.take(name, value, 0) != kFine) return ArgumentErrc::invalid_header_value;
    const bool other_coding = same_name(name, "transfer-encoding") && !same_name(value, "chunked");
    return other_coding ? make_error_code(ArgumentErrc::invalid_header_value) : std::error_code();
}

std::string_view separator_of(std::string_view name) noexcept {
    return same_name(name, "cookie") ? "; " : ", ";
}

// A value_size that marks an entry for erasure. Larger than any text.
constexpr std::uint32_t kErased = std::numeric_limits<std::uint32_t>::max();

template <class Change>
std::error_code guarded(Change change) noexcept {
    try {
        return change();
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
}

}  // namespace

std::size_t Headers::find(std::string_view name, std::size_t from) const noexcept {
    std::size_t index = from;
    while (index < entries_.size() && !same_name((*this)[index].name, name))
        ++index;
    return index;
}

bool Headers::is_line(std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    const std::size_t name_end = std::size_t{entry.begin} + entry.name_size;
    const std::size_t value_end = std::size_t{entry.value} + entry.value_size;
    return entry.name_size > 0 && entry.value == name_end + kSeparator.size() &&
           line(index).size() == value_end + kLineEnd.size() - entry.begin &&
           line(index).ends_with(kLineEnd);
}

Field Headers::operator[](std::size_t index) const noexcept {
    DCHECK(index < entries_.size());
    const Entry& entry = entries_[index];
    const char* const text = text_.data();
    return {{text + entry.begin, entry.name_size}, {text + entry.value, entry.value_size}};
}

std::string_view Headers::line(std::size_t index) const noexcept {
    DCHECK(index < entries_.size());
    const std::size_t end = index + 1 < entries_.size() ? entries_[index + 1].begin : text_.size();
    return std::string_view(text_).substr(entries_[index].begin, end - entries_[index].begin);
}

std::optional<std::string_view> Headers::get(std::string_view name) const noexcept {
    const std::size_t index = find(name);
    if (index == entries_.size()) return std::nullopt;
    return (*this)[index].value;
}

bool Headers::owns(std::string_view text) const noexcept {
    const std::less<const char*> before;
    return !before(text.data(), text_.data()) && before(text.data(), text_.data() + text_.size());
}

void Headers::append(std::string_view name, std::string_view value) {
    const std::size_t begin = text_.size();
    const std::size_t size = name.size() + kSeparator.size() + value.size() + kLineEnd.size();
    if (size > std::numeric_limits<std::uint32_t>::max() - begin) throw std::bad_alloc();
    // Growing by one element would copy everything on each call.
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + 16);
    if (text_.capacity() - begin < size) text_.reserve(2 * begin + size + 256);
    text_.append(name).append(kSeparator).append(value).append(kLineEnd);
    const std::size_t place = begin + name.size() + kSeparator.size();
    entries_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(name.size()),
                        static_cast<std::uint32_t>(place),
                        static_cast<std::uint32_t>(value.size())});
    DCHECK(is_line(entries_.size() - 1));
}

void Headers::move_behind(std::size_t index, std::ptrdiff_t shift) noexcept {
    for (std::size_t i = index + 1; i < entries_.size(); ++i) {
        entries_[i].begin = static_cast<std::uint32_t>(entries_[i].begin + shift);
        entries_[i].value = static_cast<std::uint32_t>(entries_[i].value + shift);
    }
}

// Appends the new line, which can fail, and then rotates it into the place of the old one.
void Headers::replace(std::size_t index, std::string_view name, std::string_view value) {
    append(name, value);
    const std::string_view old = line(index);
    const std::size_t begin = entries_[index].begin;
    const std::size_t added = text_.size() - line(entries_.size() - 1).size();
    const std::size_t size = text_.size() - added;
    const Entry fresh = entries_.back();
    const auto gap = static_cast<std::ptrdiff_t>(old.size());
    entries_.pop_back();
    // Rotates the new line in front of the old one, and erases the old one behind it.
    const auto from = text_.begin() + static_cast<std::ptrdiff_t>(begin);
    std::rotate(from, text_.begin() + static_cast<std::ptrdiff_t>(added), text_.end());
    text_.erase(begin + size, static_cast<std::size_t>(gap));
    entries_[index] = {static_cast<std::uint32_t>(begin), fresh.name_size,
                       static_cast<std::uint32_t>(begin + fresh.value - fresh.begin),
                       fresh.value_size};
    move_behind(index, static_cast<std::ptrdiff_t>(size) - gap);
    DCHECK(is_line(index) && is_line(entries_.size() - 1));
}

void Headers::join(std::size_t index, std::string_view value) {
    if (value.empty()) return;
    Entry& entry = entries_[index];
    const std::string_view separator =
        entry.value_size == 0 ? std::string_view() : separator_of((*this)[index].name);
    const std::size_t added = separator.size() + value.size();
    if (added > std::numeric_limits<std::uint32_t>::max() - text_.size()) throw std::bad_alloc();
    text_.reserve(text_.size() + added);
    const std::size_t place = entry.value + entry.value_size;
    text_.insert(place, separator).insert(place + separator.size(), value);
    entry.value_size += static_cast<std::uint32_t>(added);
    move_behind(index, static_cast<std::ptrdiff_t>(added));
    DCHECK(is_line(index) && is_line(entries_.size() - 1));
}

void Headers::erase_at(std::size_t index) noexcept {
    const std::size_t size = line(index).size();
    text_.erase(entries_[index].begin, size);
    move_behind(index, -static_cast<std::ptrdiff_t>(size));
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
    DCHECK(index == entries_.size() || is_line(index));
}

void Headers::add_checked(std::string_view name, std::string_view value) {
    const std::size_t index = same_name(name, "set-cookie") ? size() : find(name);
    if (index == size()) return append(name, value);
    join(index, value);
}

std::error_code Headers::set(std::string_view name, std::string_view value) noexcept {
    value = trimmed(value);
    if (const std::error_code error = check(name, value)) return error;
    // A message has only one framing (RFC 9112 6.1).
    if (same_name(name, "content-length") && contains("transfer-encoding"))
        return ArgumentErrc::conflicting_header;
    if (same_name(name, "transfer-encoding") && contains("content-length"))
        return ArgumentErrc::conflicting_header;
    return guarded([&]() -> std::error_code {
        // headers.set("A", *headers.get("B")) passes a view of the text that this call changes.
        if (owns(name) || owns(value)) return set(std::string(name), std::string(value));
        const std::size_t index = find(name);
        if (index == size()) return append(name, value), std::error_code();
        replace(index, name, value);
        for (std::size_t other = size(); --other > index;) {
            if (same_name((*this)[other].name, name)) erase_at(other);
        }
        DCHECK((*this)[index].value == value && find(name, index + 1) == size());
        return {};
    });
}

std::error_code Headers::add(std::string_view name, std::string_view value) noexcept {
    value = trimmed(value);
    if (!contains(name)) return set(name, value);
    if (const std::error_code error = check(name, value)) return error;
    if (is_single(name)) return ArgumentErrc::conflicting_header;
    return guarded([&]() -> std::error_code {
        if (owns(name) || owns(value)) return add(std::string(name), std::string(value));
        add_checked(name, value);
        return {};
    });
}

// Two passes, since `name` may be a view of the text that the second one changes.
std::size_t Headers::erase(std::string_view name) noexcept {
    std::size_t erased = 0;
    for (std::size_t index = 0; index < size(); ++index) {
        if (!same_name((*this)[index].name, name)) continue;
        entries_[index].value_size = kErased;
        ++erased;
    }
    for (std::size_t index = erased == 0 ? 0 : size(); index-- > 0;) {
        if (entries_[index].value_size == kErased) erase_at(index);
    }
    return erased;
}

void Headers::clear() noexcept {
    text_.clear();
    entries_.clear();
}

}  // namespace uaio::http
