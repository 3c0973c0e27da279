// What holds for every message, whatever its bytes. A target stops the program, with a sentence,
// when something does not hold; libFuzzer keeps the input. One thread.
#pragma once

#include "tests/support/http_reader.h"

#include <string_view>

namespace uaio::fuzz {

[[noreturn]] void stop(std::string_view what, std::string_view detail = {});

// What the bytes are read as, whole; the same has to come out however they are cut, and with every
// scanner. Where they are cut depends on the bytes, so that an input behaves the same every time.
SeenMessage read_cut_and_whole(std::string_view bytes, const Reading& how);

}  // namespace uaio::fuzz
