// A ContentBuffer owns bytes of a message's content. Unlike a std::string it does not fill new
// bytes with zeros before they are received, and a large block grows by mremap(2) instead of a
// copy, so that collecting content does not delay the loop. One thread at a time.
#pragma once

#include <cstddef>
#include <string_view>

namespace uaio::http {

// Pointers and views stay valid until the next reserve(), resize() or assign() beyond capacity(),
// swap() or move.
class ContentBuffer {
public:
    // Empty; allocates nothing.
    ContentBuffer() = default;
    // Copies the bytes, and no spare capacity. Throws std::bad_alloc.
    ContentBuffer(const ContentBuffer& other) { assign(other.view()); }
    // Takes the memory; `other` is empty then.
    ContentBuffer(ContentBuffer&& other) noexcept { swap(other); }
    // Throws std::bad_alloc, with nothing changed.
    ContentBuffer& operator=(const ContentBuffer& other);
    ContentBuffer& operator=(ContentBuffer&& other) noexcept;
    ~ContentBuffer();

    // Null until the first byte is reserved.
    char* data() noexcept { return bytes_; }
    // In bytes.
    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::string_view view() const noexcept { return {bytes_, size_}; }

    // Room for `size` bytes in all, by realloc(3) to exactly that: callers that append grow it
    // geometrically themselves. Throws std::bad_alloc, with nothing changed.
    void reserve(std::size_t size);
    // Sets size(). New bytes are not initialised; memory is never given back. Throws
    // std::bad_alloc, with nothing changed.
    void resize(std::size_t size);
    // Replaces the content by a copy of `bytes`, which may be a part of this buffer. Throws
    // std::bad_alloc, with nothing changed.
    void assign(std::string_view bytes);
    // Sets size() to 0 and keeps the memory.
    void clear() noexcept { size_ = 0; }
    void swap(ContentBuffer& other) noexcept;

private:
    char* bytes_ = nullptr;  // by malloc(3)
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace uaio::http
