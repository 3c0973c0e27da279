#include "tests/differential/child.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <system_error>

namespace differential {
namespace {

const std::string kRefused = "refused";
const std::string kFailure = "trouble";

void say(int pipe, const Observation& observation) {
    const std::string lines = observation.to_lines();
    for (std::size_t at = 0; at < lines.size();) {
        const ssize_t written = ::write(pipe, lines.data() + at, lines.size() - at);
        if (written <= 0) return;
        at += static_cast<std::size_t>(written);
    }
}

Observation play(void (*scenario)(Stage&), const DriverFactory& factory) {
    Observation observation;
    std::unique_ptr<Driver> driver;
    try {
        driver = factory();
    } catch (const std::system_error& error) {
        observation.add(kRefused, error.what());
        return observation;
    }
    try {
        Stage stage(*driver);
        scenario(stage);
        return stage.conclude();
    } catch (const std::exception& error) {
        observation.add(kFailure, error.what());
        return observation;
    }
}

std::string read_all(int fd, bool from_start) {
    if (from_start) ::lseek(fd, 0, SEEK_SET);
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(fd, buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
}

}  // namespace

Child::Child(void (*scenario)(Stage&), const DriverFactory& factory)
    : errors_(::memfd_create("errors", MFD_CLOEXEC)) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::system_category(), "pipe");
    std::fflush(nullptr);
    process_ = ::fork();
    if (process_ < 0) throw std::system_error(errno, std::system_category(), "fork");
    if (process_ == 0) {
        ::close(ends[0]);
        ::dup2(errors_, STDERR_FILENO);
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::alarm(static_cast<unsigned>(kPatience.count() * 6));
        say(ends[1], play(scenario, factory));
        ::_exit(0);
    }
    ::close(ends[1]);
    results_ = ends[0];
}

Child::~Child() {
    ::close(results_);
    ::close(errors_);
}

Played Child::join() {
    Played played;
    played.observation = Observation::parse(read_all(results_, false));
    int status = 0;
    ::waitpid(process_, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        played.died = true;
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        played.failure = "it hung\n";
    } else if (WIFSIGNALED(status)) {
        played.failure = "died of signal " + std::to_string(WTERMSIG(status)) + '\n';
    } else if (WEXITSTATUS(status) != 0) {
        played.failure = "exit status " + std::to_string(WEXITSTATUS(status)) + '\n';
    }
    if (const std::string* why = played.observation.find(kFailure)) played.failure = *why + '\n';
    if (const std::string* why = played.observation.find(kRefused)) played.refused = *why;
    if (!played.failure.empty()) played.failure += read_all(errors_, true);
    return played;
}

}  // namespace differential
