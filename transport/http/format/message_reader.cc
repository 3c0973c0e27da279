#include "transport/http/format/message_reader.h"

#include <uaio/error.h>

#include "base/check.h"

#include <algorithm>
#include <iterator>
#include <new>

namespace uaio::http {
namespace {

// True if the lines follow each other in the form in which Headers keeps them, and no name occurs
// twice.
bool have_form(const FieldViews& fields) noexcept {
    const char* const bytes = fields.bytes();
    const std::span<const FieldSlice> slices = fields.slices();
    std::uint64_t sizes = 0;  // of the names before
    for (std::size_t index = 0; index < slices.size(); ++index) {
        const FieldSlice& slice = slices[index];
        const std::size_t end = std::size_t{slice.value} + slice.value_size;
        // The line feeds of the line and of the empty line are behind the value.
        const bool ends = bytes[end] == '\r' && bytes[end + 1] == '\n';
        const bool follows = index + 1 == slices.size() || slices[index + 1].name == end + 2;
        if (slice.value != slice.name + slice.name_size + 2 || !ends || !follows) return false;
        if (bytes[slice.value - 2] != ':' || bytes[slice.value - 1] != ' ') return false;
        const std::uint64_t size = std::uint64_t{1} << (slice.name_size & 63);
        if ((sizes & size) != 0) {
            const auto same = [name = fields[index].name](Field other) {
                return same_name(name, other.name);
            };
            const auto before = fields.begin();
            if (std::any_of(before, std::next(before, static_cast<std::ptrdiff_t>(index)), same))
                return false;
        }
        sizes |= size;
    }
    return !slices.empty();
}

bool are_as_kept(const FieldViews& fields) noexcept {
    DCHECK(fields.form() != FieldViews::Form::as_kept || fields.empty() || have_form(fields));
    if (fields.form() == FieldViews::Form::as_kept) return !fields.empty();
    return have_form(fields);
}

// True for a value that Headers keeps as received.
bool is_usual(Field field) noexcept {
    constexpr std::string_view kLength = "content-length";
    if (is_folded(field.value)) return false;
    return !same_name(field.name, kLength) || field.value.find(',') == field.value.npos;
}

}  // namespace

void MessageReader::copy_lines(const FieldViews& fields, Headers& out) {
    DCHECK(out.empty() && are_as_kept(fields));
    const std::span<const FieldSlice> slices = fields.slices();
    const std::uint32_t begin = slices.front().name;
    const std::size_t size =
        std::size_t{slices.back().value} + slices.back().value_size + 2 - begin;
    if (out.entries_.capacity() < slices.size()) out.entries_.reserve(slices.size() + 16);
    if (out.text_.capacity() < size) out.text_.reserve(size + 256);
    out.text_.assign(fields.bytes() + begin, size);
    for (const FieldSlice& slice : slices) {
        out.entries_.push_back(
            {slice.name - begin, slice.name_size, slice.value - begin, slice.value_size});
    }
    DCHECK(out.is_line(0) && out.is_line(out.size() - 1));
}

inline void MessageReader::read_fields(const FieldViews& fields, Headers& out) {
    if (are_as_kept(fields)) return copy_lines(fields, out);
    for (const auto [name, value] : fields)
        out.add_checked(name, value);
}

// Converts fields that only a lenient parser accepts to their strict form.
void MessageReader::read_odd_fields(const ResponseHead& head, Headers& out) {
    const bool usual = head.fields.form() == FieldViews::Form::as_kept ||
                       std::ranges::all_of(head.fields, is_usual);
    if (usual && are_as_kept(head.fields)) {
        return copy_lines(head.fields, out);
    }
    constexpr std::string_view kLength = "content-length";
    bool has_length = false;
    for (const auto [name, value] : head.fields) {
        if (name.size() == kLength.size() && same_name(name, kLength)) {
            // Several equal numbers (RFC 9110 8.6).
            std::string_view list = value;
            std::string_view first;
            next_element(list, first);
            if (!has_length) out.add_checked(name, first);
            has_length = true;
        } else if (is_folded(value)) {
            out.add_checked(name, unfold(value));
        } else {
            out.add_checked(name, value);
        }
    }
}

std::error_code MessageReader::read(const RequestHead& head, Request& out) noexcept {
    DCHECK(is_token(head.method) && !head.target.empty());
    out.reset();
    try {
        if (head.method != Request::kGet) out.method_.assign(head.method);
        out.target_.assign(head.target);
        read_fields(head.fields, out.headers_);
    } catch (const std::bad_alloc&) {
        out.reset();
        return Errc::not_enough_memory;
    }
    out.set_version(head.version);
    return {};
}

std::error_code MessageReader::read(const ResponseHead& head, Response& out) noexcept {
    DCHECK(head.status >= 100 && head.status <= 999);
    out.reset();
    try {
        out.reason_.assign(head.reason);
        read_odd_fields(head, out.headers_);
    } catch (const std::bad_alloc&) {
        out.reset();
        return Errc::not_enough_memory;
    }
    out.reason_set_ = true;  // even if empty, as received
    out.status_ = head.status;
    out.set_version(head.version);
    return {};
}

ContentBuffer& MessageReader::content(Message& message) noexcept {
    message.borrowed_ = {};
    message.content_kind_ = Message::ContentKind::owned;
    return message.owned_;
}

std::span<char> MessageReader::content_room(Message& message, std::size_t have,
                                            std::uint64_t wanted) noexcept {
    constexpr std::size_t kFirstPiece = 4096;
    const auto size =
        static_cast<std::size_t>(std::clamp<std::uint64_t>(wanted, 1, std::max(kFirstPiece, have)));
    ContentBuffer& bytes = content(message);
    DCHECK(have <= bytes.size());
    try {
        bytes.resize(have + size);
    } catch (const std::bad_alloc&) {
        return {};
    }
    return {bytes.data() + have, size};
}

}  // namespace uaio::http
