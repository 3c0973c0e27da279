// Writes messages to standard error where there is no log hook. Any thread.
#pragma once

#include <uaio/engine.h>

#include <string_view>

namespace uaio {

// Writes "uaio: ", `text` and a line feed by one system call, at most PIPE_BUF bytes; escapes
// control characters in `text`, as \x0a. Nothing for LogLevel::info. Writes the same text
// kDefaultLogLines times in kDefaultLogPeriod; the first line of the next period reports how many
// were left out. Does not allocate, raises no SIGPIPE, and keeps errno.
void log_to_standard_error(LogLevel level, std::string_view text) noexcept;

inline constexpr unsigned kDefaultLogLines = 5;
inline constexpr std::chrono::seconds kDefaultLogPeriod{10};

}  // namespace uaio
