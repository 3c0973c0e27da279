#include "base/error_table.h"

namespace uaio {

std::string TableCategory::message(int code) const {
    const ErrorMeaning* const meaning = find(code);
    return meaning ? meaning->name : "unknown error " + std::to_string(code);
}

std::error_condition TableCategory::default_error_condition(int code) const noexcept {
    const ErrorMeaning* const meaning = find(code);
    if (!meaning || meaning->condition == 0) return {code, *this};
    return {meaning->condition, std::generic_category()};
}

const char* TableCategory::sentence(int code) const noexcept {
    const ErrorMeaning* const meaning = find(code);
    return meaning ? meaning->sentence : nullptr;
}

const ErrorMeaning* TableCategory::find(int code) const noexcept {
    for (const ErrorMeaning& meaning : table_) {
        if (meaning.code == code) return &meaning;
    }
    return nullptr;
}

}  // namespace uaio
