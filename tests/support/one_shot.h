// An Aio that may outlast its engine's user: it goes with its callback. For the thread of that
// engine.
#pragma once

#include <uaio/aio.h>
#include <uaio/engine.h>

#include "tests/support/wire.h"

namespace uaio {

// Lives until its callback, which notes how it ended.
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

// Of a new one, for one operation, which has to be submitted.
inline Aio& one_shot(Engine& engine, Ended& ended) { return (new OneShot(engine, ended))->aio; }

}  // namespace uaio
