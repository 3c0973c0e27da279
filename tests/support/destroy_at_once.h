// Destroys an object on one thread while another destroys its engine.
#pragma once

#include <uaio/engine_group.h>

#include "tests/support/connection_fixture.h"

#include <atomic>
#include <barrier>
#include <memory>
#include <string_view>
#include <thread>

#include <doctest/doctest.h>

namespace uaio {

// Each try takes some switches between threads, which are slow on a loaded machine.
inline constexpr int kTries = 50;

// kTries times. `make` returns a smart pointer to the object, for an engine. An engine that ends in
// order logs nothing.
template <class Make>
void destroy_at_once(KernelKind kernel, Make make) {
    std::atomic<unsigned> reports = 0;
    EngineOptions options = options_on(kernel);
    options.drain_timeout = std::chrono::seconds(10);
    options.log = [&](LogLevel, std::string_view) { ++reports; };
    for (int tries = 0; tries < kTries; ++tries) {
        auto io = std::make_unique<EngineThread>(options);
        auto object = make(io->engine());
        std::barrier start(2);
        std::thread other([&] {
            start.arrive_and_wait();
            object.reset();
        });
        start.arrive_and_wait();
        io.reset();
        other.join();
    }
    CHECK(reports == 0);
}

}  // namespace uaio
