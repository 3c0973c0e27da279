// Talks a dialogue with a proxy through, free of I/O, with the proxy's answers cut in every way.
// For one thread.
#pragma once

#include "transport/proxy/dialogue.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace uaio {

// What the dialogue has to say, and what the proxy answers to it.
struct Said {
    std::string wanted;
    std::string answer;
};

struct Talked {
    std::error_code error;
    std::string rest;  // behind the dialogue, if there was no error

    bool operator==(const Talked&) const = default;
};

using MakeDialogue = std::function<std::unique_ptr<proxy::Dialogue>()>;

// Every answer goes in whole, byte by byte, and cut once at every place; each time the dialogue has
// to say what is wanted. How it ended, which has to be the same each time. What is left of a script
// after a failure is not looked at.
Talked talk(const MakeDialogue& make, const std::vector<Said>& script);

}  // namespace uaio
