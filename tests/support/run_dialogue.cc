#include "tests/support/run_dialogue.h"

#include <algorithm>
#include <cstdint>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using proxy::Progress;

// One run of the dialogue, with answers split into pieces of these sizes.
class DialogueRun {
public:
    explicit DialogueRun(const MakeDialogue& make) : dialogue_(make()) {}

    DialogueResult run(const std::vector<DialogueStep>& script, std::size_t first,
                       std::size_t piece) {
        if (const std::error_code error = dialogue_->begin(output_)) return {error, ""};
        for (const DialogueStep& step : script) {
            REQUIRE(output_ == step.wanted);
            output_.clear();
            std::size_t at = 0;
            std::size_t size = first;
            while (at < step.answer.size()) {
                const std::string part = step.answer.substr(at, size);
                at += part.size();
                size = piece;
                if (state_ == Progress::State::done) {
                    received_ += part;
                    continue;
                }
                if (!take(part)) return {error_, ""};
            }
        }
        REQUIRE(output_.empty());
        REQUIRE(state_ == Progress::State::done);
        return {{}, received_};
    }

private:
    // False if the dialogue failed.
    bool take(const std::string& part) {
        received_ += part;
        for (;;) {
            const Progress progress = dialogue_->consume(received_, output_);
            REQUIRE(progress.consumed <= received_.size());
            received_.erase(0, progress.consumed);
            state_ = progress.state;
            error_ = progress.error;
            if (state_ == Progress::State::failed) return false;
            const bool moved = state_ == Progress::State::advanced && progress.consumed > 0;
            if (!moved || !output_.empty()) return true;
        }
    }

    std::unique_ptr<proxy::Dialogue> dialogue_;
    std::string output_;
    std::string received_;
    Progress::State state_ = Progress::State::need_more;
    std::error_code error_;
};

}  // namespace

DialogueResult run_dialogue(const MakeDialogue& make, const std::vector<DialogueStep>& script) {
    const DialogueResult whole = DialogueRun(make).run(script, SIZE_MAX, SIZE_MAX);
    REQUIRE(DialogueRun(make).run(script, 1, 1) == whole);
    std::size_t longest = 0;
    for (const DialogueStep& step : script)
        longest = std::max(longest, step.answer.size());
    if (longest > 4096) return whole;  // for which a few cuts suffice
    for (std::size_t cut = 1; cut < longest; ++cut)
        REQUIRE(DialogueRun(make).run(script, cut, SIZE_MAX) == whole);
    return whole;
}

}  // namespace uaio
