// Runs a part of a test in a child process of its own: for what stops the program, or changes the
// process for good (seccomp filters, limits, users). Call it while no other thread holds a lock
// that the child needs: those of engines at rest hold none.
#pragma once

#include <functional>
#include <string>

namespace uaio {

struct ChildEnd {
    int exit_status = -1;  // -1 if a signal ended it
    int signal = 0;
    std::string output;  // what it said on standard error

    bool well() const noexcept { return exit_status == 0; }
};

// `body` returns what went wrong, or an empty string. It is ended by SIGALRM if it hangs. doctest's
// assertions do not reach the parent, so it must not use them.
ChildEnd run_in_child(const std::function<std::string()>& body);

// Gives up root's rights, if there are any, and sets RLIMIT_MEMLOCK. False if that was refused.
bool become_unprivileged(std::size_t locked_memory_bytes);

// Lets at most so many more descriptors be opened (RLIMIT_NOFILE's soft limit).
bool limit_descriptors(int more);

// Lets a system call, by its number, fail with `error` from now on, as a seccomp profile does.
bool refuse_system_call(long number, int error);
// The same for io_uring_setup(2).
bool refuse_io_uring(int error);

}  // namespace uaio
