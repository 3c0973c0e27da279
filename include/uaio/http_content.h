// Bytes of a message's content, in memory of their own. Unlike a std::string it does not fill with
// zeros what is about to be received, and a large block grows by mremap(2) and not by a copy, so
// that collecting content does not hold up the loop. One thread at a time.
#pragma once

#include <cstddef>
#include <string_view>

namespace uaio::http {

class ContentBuffer {
public:
    ContentBuffer() = default;
    // Throws std::bad_alloc.
    ContentBuffer(const ContentBuffer& other) { assign(other.view()); }
    ContentBuffer(ContentBuffer&& other) noexcept { swap(other); }
    // Throws std::bad_alloc, with nothing changed.
    ContentBuffer& operator=(const ContentBuffer& other);
    ContentBuffer& operator=(ContentBuffer&& other) noexcept;
    ~ContentBuffer();

    char* data() noexcept { return bytes_; }
    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::string_view view() const noexcept { return {bytes_, size_}; }

    // Room for `size` bytes in all. Throws std::bad_alloc, with nothing changed.
    void reserve(std::size_t size);
    // New bytes are not initialised. Throws std::bad_alloc, with nothing changed.
    void resize(std::size_t size);
    // `bytes` may be a part of this. Throws std::bad_alloc, with nothing changed.
    void assign(std::string_view bytes);
    // Keeps the memory.
    void clear() noexcept { size_ = 0; }
    void swap(ContentBuffer& other) noexcept;

private:
    char* bytes_ = nullptr;  // by malloc(3)
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace uaio::http
