// Where messages go without a log hook: to standard error. Any thread.
#pragma once

#include <uaio/engine.h>

#include <string_view>

namespace uaio {

// Writes "uaio: ", `text` and a line feed by one system call, at most PIPE_BUF bytes; control
// characters in `text` are escaped, as \x0a. Nothing for LogLevel::info. Of the same text
// kDefaultLogLines are written in kDefaultLogPeriod; the first of the next period says how many
// were left out. Does not allocate, and raises no SIGPIPE.
void log_to_standard_error(LogLevel level, std::string_view text) noexcept;

inline constexpr unsigned kDefaultLogLines = 5;
inline constexpr std::chrono::seconds kDefaultLogPeriod{10};

}  // namespace uaio
