#include "tests/support/talk.h"

#include <algorithm>
#include <cstdint>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using proxy::Progress;

// One run of the dialogue, with answers split into pieces of these sizes.
class Talk {
public:
    explicit Talk(const MakeDialogue& make) : dialogue_(make()) {}

    Talked run(const std::vector<Said>& script, std::size_t first, std::size_t piece) {
        if (const std::error_code error = dialogue_->begin(said_)) return {error, ""};
        for (const Said& said : script) {
            REQUIRE(said_ == said.wanted);
            said_.clear();
            std::size_t at = 0;
            std::size_t size = first;
            while (at < said.answer.size()) {
                const std::string part = said.answer.substr(at, size);
                at += part.size();
                size = piece;
                if (state_ == Progress::State::done) {
                    received_ += part;
                    continue;
                }
                if (!take(part)) return {error_, ""};
            }
        }
        REQUIRE(said_.empty());
        REQUIRE(state_ == Progress::State::done);
        return {{}, received_};
    }

private:
    // False if the dialogue failed.
    bool take(const std::string& part) {
        received_ += part;
        for (;;) {
            const Progress heard = dialogue_->consume(received_, said_);
            REQUIRE(heard.consumed <= received_.size());
            received_.erase(0, heard.consumed);
            state_ = heard.state;
            error_ = heard.error;
            if (state_ == Progress::State::failed) return false;
            const bool moved = state_ == Progress::State::advanced && heard.consumed > 0;
            if (!moved || !said_.empty()) return true;
        }
    }

    std::unique_ptr<proxy::Dialogue> dialogue_;
    std::string said_;
    std::string received_;
    Progress::State state_ = Progress::State::need_more;
    std::error_code error_;
};

}  // namespace

Talked talk(const MakeDialogue& make, const std::vector<Said>& script) {
    const Talked whole = Talk(make).run(script, SIZE_MAX, SIZE_MAX);
    REQUIRE(Talk(make).run(script, 1, 1) == whole);
    std::size_t longest = 0;
    for (const Said& said : script)
        longest = std::max(longest, said.answer.size());
    if (longest > 4096) return whole;  // for which a few cuts suffice
    for (std::size_t cut = 1; cut < longest; ++cut)
        REQUIRE(Talk(make).run(script, cut, SIZE_MAX) == whole);
    return whole;
}

}  // namespace uaio
