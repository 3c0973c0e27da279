// Reports of the engine without a log hook, and with one.
#include <uaio/aio.h>
#include <uaio/engine.h>

#include "engine/default_log.h"
#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::report_test {

using namespace std::chrono_literals;
using namespace std::string_view_literals;

std::size_t occurrences(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

TEST_CASE("misuse of a busy Aio prints a line on standard error") {
    const ChildEnd end = run_in_child([]() -> std::string {
        Engine engine(options_on(KernelKind::io_uring));
        Aio aio(engine);
        submit_parked(aio);
        submit_nop(aio);  // a debug build aborts here
        aio.stop();
        static_cast<void>(aio.wait());
        return "";
    });
    CHECK(end.succeeded() == !kMisuseStops);
    CHECK(
        end.output.starts_with("uaio: an operation was submitted on a busy Aio; it was ignored\n"));
}

// Submits to an engine that has ended, a misuse on which no build aborts.
void misuse_often(const EngineOptions& options, int times) {
    Engine engine(options);
    std::thread([&engine] { engine.run_once(0ns); }).join();
    Aio aio(engine);
    for (int i = 0; i < times; ++i)
        submit_nop(aio);
    engine.post([] {});
}

TEST_CASE("a loop of misuse does not flood standard error") {
    const ChildEnd end = run_in_child([]() -> std::string {
        misuse_often(options_on(KernelKind::io_uring), 10'000);
        return "";
    });
    CHECK(end.succeeded());
    CHECK(occurrences(end.output, "an operation was submitted") == 5);
    CHECK(occurrences(end.output, "a task was posted") == 1);
    CHECK(occurrences(end.output, "\n") == 6);
}

TEST_CASE("a message on standard error is one line without control characters") {
    const ChildEnd end = run_in_child([]() -> std::string {
        log_to_standard_error(LogLevel::error, "a\nFAKE LOG\x1b[31m\x7f\xc2\x9b\r\0b"sv);
        log_to_standard_error(LogLevel::warning, "sch\xc3\xb6n\\");
        log_to_standard_error(LogLevel::error, std::string(10'000, '\n'));
        log_to_standard_error(LogLevel::error, std::string(10'000, 'x'));
        return "";
    });
    CHECK(end.succeeded());
    CHECK(
        end.output.starts_with("uaio: a\\x0aFAKE LOG\\x1b[31m\\x7f\\xc2\\x9b\\x0d\\x00b\n"
                               "uaio: sch\xc3\xb6n\\\n"
                               "uaio: \\x0a\\x0a"));
    CHECK(occurrences(end.output, "\n") == 4);
    CHECK(occurrences(end.output, "\\x0a...\nuaio: xxx") == 1);
    CHECK(end.output.ends_with("xxx...\n"));
    CHECK(end.output.size() < 3 * PIPE_BUF);
}

TEST_CASE("a log hook replaces standard error and receives every message") {
    int messages = 0;
    EngineOptions options = options_on(KernelKind::io_uring);
    options.log = [&messages](LogLevel, std::string_view) { ++messages; };
    const ChildEnd end = run_in_child([&]() -> std::string {
        misuse_often(options, 100);
        return messages == 101 ? "" : std::to_string(messages) + " messages";
    });
    CHECK(end.succeeded());
    CHECK(end.output.empty());
}

TEST_CASE("a message on standard error keeps errno") {
    const ChildEnd end = run_in_child([]() -> std::string {
        errno = EXDEV;
        log_to_standard_error(LogLevel::error, "a message");
        return errno == EXDEV ? "" : "errno has changed";
    });
    CHECK(end.output == "uaio: a message\n");
}

TEST_CASE("a message to a pipe without a reader does not end the program") {
    const ChildEnd end = run_in_child([]() -> std::string {
        int ends[2];
        if (::pipe(ends) != 0 || ::dup2(ends[1], STDERR_FILENO) < 0) return "no pipe";
        ::close(ends[0]);
        std::signal(SIGPIPE, SIG_DFL);
        misuse_often(options_on(KernelKind::io_uring), 1);
        std::signal(SIGPIPE, SIG_IGN);
        return "";
    });
    CHECK(end.succeeded());
}

}  // namespace uaio::report_test
