// An Aio that may outlive its engine's user: its callback destroys it. For the thread of that
// engine.
#pragma once

#include <uaio/aio.h>
#include <uaio/engine.h>

#include "tests/support/connection_fixture.h"

namespace uaio {

// Lives until its callback, which records the result.
class OneShot {
public:
    OneShot(Engine& engine, Ended& ended)
        : aio(engine,
              [this](Aio& done) {
                  ended_ = {ended_.calls + 1, done.result(), done.count()};
                  delete this;
              }),
          ended_(ended) {}

    Aio aio;

private:
    Ended& ended_;
};

// Returns a new one, for one operation, which must be submitted.
inline Aio& one_shot(Engine& engine, Ended& ended) { return (new OneShot(engine, ended))->aio; }

}  // namespace uaio
