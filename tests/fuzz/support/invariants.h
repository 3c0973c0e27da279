// Invariants of every message, whatever its bytes. A target aborts with a message if one is
// violated; libFuzzer keeps the input. One thread.
#pragma once

#include "tests/support/http_reader.h"

#include <string_view>

namespace uaio::fuzz {

[[noreturn]] void stop(std::string_view what, std::string_view detail = {});

// The result of parsing the bytes whole; every cut and every scanner must give the same. The bytes
// determine the cuts, so that an input behaves the same every time.
SeenMessage read_cut_and_whole(std::string_view bytes, const Reading& how);

}  // namespace uaio::fuzz
