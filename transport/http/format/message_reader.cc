#include "transport/http/format/message_reader.h"

#include <uaio/error.h>

#include "base/check.h"

#include <algorithm>
#include <new>

namespace uaio::http {

void MessageReader::read_fields(const FieldViews& fields, Headers& out) {
    for (const auto [name, value] : fields)
        out.add_checked(name, value);
}

// Converts fields that only a lenient parser accepts to their strict form.
void MessageReader::read_odd_fields(const ResponseHead& head, Headers& out) {
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

std::size_t MessageReader::capacity_of(const Message& message) noexcept {
    const Headers& headers = message.headers_;
    return message.head_.capacity() + message.owned_.capacity() + headers.text_.capacity() +
           headers.entries_.capacity() * sizeof(Headers::Entry);
}

std::size_t MessageReader::capacity(const Request& request) noexcept {
    return capacity_of(request) + request.method_.capacity() + request.target_.capacity();
}

std::size_t MessageReader::capacity(const Response& response) noexcept {
    return capacity_of(response) + response.reason_.capacity();
}

}  // namespace uaio::http
