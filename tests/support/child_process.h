// Runs part of a test in a child process: code that aborts the program, or changes the process
// permanently (seccomp filters, limits, users). Call it while no other thread holds a lock that the
// child needs: idle engines hold none.
#pragma once

#include <functional>
#include <string>

namespace uaio {

struct ChildEnd {
    int exit_status = -1;  // -1 if a signal ended it
    int signal = 0;
    std::string output;  // standard error

    bool succeeded() const noexcept { return exit_status == 0; }
};

// `body` returns an error message, or an empty string. SIGALRM ends it if it hangs. doctest's
// assertions do not reach the parent, so it must not use them.
ChildEnd run_in_child(const std::function<std::string()>& body);

// Drops root's privileges, if any, and sets RLIMIT_MEMLOCK. False if that was refused.
bool become_unprivileged(std::size_t locked_memory_bytes);

// Allows at most this many more open descriptors (RLIMIT_NOFILE's soft limit).
bool limit_descriptors(int more);

// True under valgrind, which enforces that limit after the system call: accept(2) then loses the
// connection instead of leaving it in the listener's queue.
bool accept_loses_connections() noexcept;

// Makes a system call, by its number, fail with `error` from now on, as a seccomp profile does.
bool refuse_system_call(long number, int error);
// The same for io_uring_setup(2).
bool refuse_io_uring(int error);

}  // namespace uaio
