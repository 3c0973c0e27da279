// The exception of a contender that cannot run here. Any thread.
#pragma once

#include <stdexcept>

namespace uaio::bench {

// Thrown by a contender that cannot run: it is left out, with the reason. Any other exception is a
// failure.
class Unavailable : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace uaio::bench
