// The observations of one run of a scenario: named values in words, which are compared as words. A
// value type that the child process sends as lines.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace differential {

class Observation {
public:
    using Field = std::pair<std::string, std::string>;

    // One line, "name<tab>value", for each field.
    static Observation parse(std::string_view lines);
    std::string to_lines() const;

    void add(std::string name, std::string value);
    // nullptr if it was not observed.
    const std::string* find(std::string_view name) const;
    const std::vector<Field>& fields() const noexcept { return fields_; }
    // For readers: "name value, name value".
    std::string to_string() const;

private:
    std::vector<Field> fields_;
};

}  // namespace differential
