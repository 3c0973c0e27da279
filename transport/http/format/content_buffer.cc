#include <uaio/http_content_buffer.h>

#include "base/check.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace uaio::http {

ContentBuffer& ContentBuffer::operator=(const ContentBuffer& other) {
    if (this != &other) assign(other.view());
    return *this;
}

ContentBuffer& ContentBuffer::operator=(ContentBuffer&& other) noexcept {
    ContentBuffer(std::move(other)).swap(*this);
    return *this;
}

ContentBuffer::~ContentBuffer() { std::free(bytes_); }

void ContentBuffer::reserve(std::size_t size) {
    DCHECK(size_ <= capacity_ && (bytes_ == nullptr) == (capacity_ == 0));
    if (size <= capacity_) return;
    void* const larger = std::realloc(bytes_, size);
    if (!larger) throw std::bad_alloc();
    bytes_ = static_cast<char*>(larger);
    capacity_ = size;
}

void ContentBuffer::resize(std::size_t size) {
    reserve(size);
    size_ = size;
}

void ContentBuffer::assign(std::string_view bytes) {
    // If `bytes` is a part of this buffer, it fits, and the memory does not move.
    reserve(bytes.size());
    if (!bytes.empty()) std::memmove(bytes_, bytes.data(), bytes.size());
    size_ = bytes.size();
}

void ContentBuffer::swap(ContentBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
}

}  // namespace uaio::http
