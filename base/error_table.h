// An error category made of a table: the class behind every category of the library. Any thread.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <system_error>

namespace uaio {

// The meaning of one code of a category.
struct ErrorMeaning {
    template <class Code>
    constexpr ErrorMeaning(Code enumerator, const char* message, const char* explanation,
                           int errno_value = 0) noexcept
        : code(static_cast<int>(enumerator)),
          condition(errno_value),
          name(message),
          sentence(explanation) {}

    int code;
    int condition;         // the errno that the code compares equal to; 0: none
    const char* name;      // returned by std::error_code::message()
    const char* sentence;  // for strerror(): what happened, the likely cause and the remedy
};

class TableCategory final : public std::error_category {
public:
    // Borrows `name` and `table` for the rest of the program.
    TableCategory(const char* name, std::span<const ErrorMeaning> table) noexcept
        : name_(name), table_(table) {}

    const char* name() const noexcept override { return name_; }
    std::string message(int code) const override;
    std::error_condition default_error_condition(int code) const noexcept override;

    // Null for a code that the table lacks.
    const char* sentence(int code) const noexcept;

private:
    const ErrorMeaning* find(int code) const noexcept;

    const char* name_;
    std::span<const ErrorMeaning> table_;
};

// A TableCategory that is never destroyed: error codes point to it, and engine threads may compare
// them while exit(3) runs.
class StaticCategory {
public:
    StaticCategory(const char* name, std::span<const ErrorMeaning> table) noexcept
        : category_(::new (static_cast<void*>(storage_)) TableCategory(name, table)) {}
    StaticCategory(const StaticCategory&) = delete;
    StaticCategory& operator=(const StaticCategory&) = delete;

    const TableCategory& get() const noexcept { return *category_; }

private:
    alignas(TableCategory) std::byte storage_[sizeof(TableCategory)];
    const TableCategory* category_;
};

}  // namespace uaio
