// Timers as in many event loops: a std::multimap by deadline. Extracted nodes are inserted again,
// so that the loop allocates as little as the wheel does. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

namespace uaio::bench {

class MultimapTimers {
public:
    struct Timer {
        std::int64_t deadline_ns = 0;
    };
    using Map = std::multimap<std::int64_t, Timer*>;
    using Node = Map::node_type;

    // Returns a node for a timer, in no map.
    static Node make_node(Timer& timer) {
        Map map;
        return map.extract(map.emplace(timer.deadline_ns, &timer));
    }

    Map::iterator arm(Node node, std::int64_t deadline_ns) {
        node.key() = deadline_ns;
        return map_.insert(std::move(node));
    }

    Node disarm(Map::iterator place) { return map_.extract(place); }

    // Extracts the first timer whose deadline is not after `now_ns`; empty if there is none.
    Node expire(std::int64_t now_ns) {
        const auto first = map_.begin();
        return first == map_.end() || first->first > now_ns ? Node() : map_.extract(first);
    }

    // Returns the first deadline, INT64_MAX for none.
    std::int64_t next_ns() const noexcept { return map_.empty() ? INT64_MAX : map_.begin()->first; }

private:
    Map map_;
};

}  // namespace uaio::bench
