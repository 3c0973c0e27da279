#include <uaio/argument_error.h>
#include <uaio/error.h>
#include <uaio/http_error.h>
#include <uaio/http_message.h>

#include "base/check.h"
#include "base/quoted.h"
#include "transport/http/format/error.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"

#include <charconv>
#include <functional>
#include <new>
#include <stdexcept>

namespace uaio::http {
namespace {

// True if `text` is a part of `whole`.
bool is_part(std::string_view text, std::string_view whole) noexcept {
    const std::less<const char*> before;
    return !before(text.data(), whole.data()) && before(text.data(), whole.data() + whole.size());
}

// Copies `text`, which may be a part of `out`. Changes nothing if it runs out of memory.
std::error_code assign(std::string& out, std::string_view text) noexcept {
    try {
        out.assign(text);
        return {};
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    } catch (const std::length_error&) {
        return Errc::not_enough_memory;
    }
}

}  // namespace

// ---- both

std::error_code Message::set_length(std::size_t size) noexcept {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, size).ptr;
    return headers_.set("Content-Length", {digits, static_cast<std::size_t>(end - digits)});
}

std::error_code Message::set_content(const void* data, std::size_t size) noexcept {
    if (data == nullptr && size != 0) return Errc::invalid_argument;
    if (const auto error = set_length(size)) return error;
    borrowed_ = {static_cast<const char*>(data), size};
    content_kind_ = ContentKind::borrowed;
    return {};
}

std::error_code Message::copy_content(const void* data, std::size_t size) noexcept {
    if (data == nullptr && size != 0) return Errc::invalid_argument;
    const std::string_view bytes(static_cast<const char*>(data), size);
    if (is_part(bytes, headers_.text())) {  // set_length() moves that text
        std::string copy;
        if (const auto error = assign(copy, bytes)) return error;
        return copy_content(copy);
    }
    // Allocates before any change. If `bytes` is a part of owned_, it fits, and does not move.
    try {
        owned_.reserve(size);
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
    if (const auto error = set_length(size)) return error;
    owned_.assign(bytes);
    borrowed_ = {};
    content_kind_ = ContentKind::owned;
    return {};
}

void Message::clear_content() noexcept {
    headers_.erase("Content-Length");
    borrowed_ = {};
    owned_.clear();
    content_kind_ = ContentKind::none;
}

void Message::reset_message() noexcept {
    headers_.clear();
    borrowed_ = {};
    owned_.clear();
    content_kind_ = ContentKind::none;
    version_ = Version::http_1_1;
}

// ---- requests

Request::Request(std::string_view url) {
    const auto error = set_url(url);
    if (!error) return;
    throw std::system_error(
        error, "uaio: http::Request: not an http, https, ws or wss URL: " + quoted_url(url));
}

std::error_code Request::set_url(std::string_view url) noexcept {
    Url parts;
    if (const auto error = parse_url(url, parts)) return error;
    const std::string_view scheme = parts.secure ? "https://" : "http://";
    const bool rooted = parts.target.starts_with('/');
    const std::size_t origin_size = scheme.size() + parts.authority.size();
    std::string target;
    try {
        target.reserve(origin_size + parts.target.size() + 1);
        target.append(scheme).append(parts.authority);
        if (!rooted) target += '/';
        target += parts.target;
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
    if (const auto error = headers().set("Host", parts.authority)) return error;
    target_.swap(target);
    origin_size_ = origin_size;
    DCHECK(this->target().starts_with('/') && all_are(kTarget, this->target()));
    return {};
}

std::error_code Request::set_method(std::string_view method) noexcept {
    if (!is_token(method)) return ArgumentErrc::invalid_method;
    return assign(method_, method);
}

std::error_code Request::set_target(std::string_view target) noexcept {
    DCHECK(origin_size_ <= target_.size());
    if (target.empty() || !all_are(kTarget, target)) return ArgumentErrc::invalid_target;
    if (origin_size_ == 0) return assign(target_, target);
    try {
        target_.replace(origin_size_, target_.npos, std::string(target));  // may be part of target_
        return {};
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    } catch (const std::length_error&) {
        return Errc::not_enough_memory;
    }
}

void Request::reset() noexcept {
    reset_message();
    method_.clear();
    target_.clear();
    origin_size_ = 0;
}

// ---- responses

std::error_code Response::set_status(int status) noexcept {
    if (status < 100 || status > 999) return ArgumentErrc::invalid_status;
    status_ = status;
    reason_.clear();
    reason_set_ = false;
    return {};
}

std::string_view Response::reason() const noexcept {
    return reason_set_ ? std::string_view(reason_) : reason_phrase(status_);
}

std::error_code Response::set_reason(std::string_view reason) noexcept {
    if (!all_are(kValue, reason)) return ArgumentErrc::invalid_reason;
    if (const auto error = assign(reason_, reason)) return error;
    reason_set_ = !reason.empty();
    return {};
}

void Response::reset() noexcept {
    reset_message();
    reason_.clear();
    reason_set_ = false;
    status_ = 200;
}

std::error_code Response::set_error_page(int status) noexcept {
    if (status < 100 || status > 999) return ArgumentErrc::invalid_status;
    headers().erase("Transfer-Encoding");
    if (status < 200 || status == 204 || status == 205 || status == 304) {
        clear_content();
        headers().erase("Content-Type");
        return set_status(status);
    }
    try {
        // Registered phrases need no HTML escaping.
        const std::string title = std::to_string(status) + " " + std::string(reason_phrase(status));
        const std::string page =
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + title +
            "</title></head>\n<body><h1>" + title + "</h1></body></html>\n";
        if (const auto error = copy_content(page)) return error;
        if (const auto error = headers().set("Content-Type", "text/html; charset=utf-8"))
            return error;
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
    return set_status(status);
}

int status_for(std::error_code error) noexcept {
    if (error.category() != http_category()) return 500;
    return status_of(static_cast<HttpErrc>(error.value()));
}

}  // namespace uaio::http
