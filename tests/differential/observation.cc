#include "tests/differential/observation.h"

#include <sstream>

namespace differential {

Observation Observation::parse(std::string_view lines) {
    Observation observation;
    std::istringstream stream{std::string(lines)};
    for (std::string line; std::getline(stream, line);) {
        const std::size_t tab = line.find('\t');
        if (tab != line.npos) observation.add(line.substr(0, tab), line.substr(tab + 1));
    }
    return observation;
}

std::string Observation::to_lines() const {
    std::string lines;
    for (const auto& [name, value] : fields_)
        lines += name + '\t' + value + '\n';
    return lines;
}

void Observation::add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
}

const std::string* Observation::find(std::string_view name) const {
    for (const auto& [known, value] : fields_) {
        if (known == name) return &value;
    }
    return nullptr;
}

std::string Observation::to_string() const {
    std::string text;
    for (const auto& [name, value] : fields_) {
        text += (text.empty() ? "" : "; ") + name + ' ' + value;
    }
    return text;
}

}  // namespace differential
