// Runs a dialogue with a proxy without I/O, with the proxy's answers split in every way. For one
// thread.
#pragma once

#include "transport/proxy/dialogue.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace uaio {

// The expected output of the dialogue, and the proxy's answer to it.
struct DialogueStep {
    std::string wanted;
    std::string answer;
};

struct DialogueResult {
    std::error_code error;
    std::string rest;  // after the dialogue, if there was no error

    bool operator==(const DialogueResult&) const = default;
};

using MakeDialogue = std::function<std::unique_ptr<proxy::Dialogue>()>;

// Gives every answer whole, byte by byte, and cut once at every place; checks the dialogue's output
// each time. Returns how it ended, which must be the same each time. Ignores the rest of a script
// after a failure.
DialogueResult run_dialogue(const MakeDialogue& make, const std::vector<DialogueStep>& script);

}  // namespace uaio
