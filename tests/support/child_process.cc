#include "tests/support/child_process.h"

#include "tests/support/kernels.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>

#ifdef UAIO_HAS_VALGRIND
#include <valgrind/valgrind.h>
#endif

namespace {

bool in_child = false;

}  // namespace

// LeakSanitizer runs at exit. In a child it would wait for locks that threads of the parent held at
// the fork, and memory in use at a child's exit is no leak.
extern "C" int __lsan_is_turned_off() { return in_child ? 1 : 0; }

namespace uaio {
namespace {

// The same for valgrind, in every child that a test or the library forks.
void stop_counting_leaks() {
    in_child = true;
#ifdef UAIO_HAS_VALGRIND
    VALGRIND_CLO_CHANGE("--leak-check=no");
#endif
}

[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, stop_counting_leaks);

[[noreturn]] void run_child(const std::function<std::string()>& body, int error_pipe) {
    ::dup2(error_pipe, STDERR_FILENO);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    // doctest's handlers would report a crash of the parent.
    for (const int signal : {SIGABRT, SIGSEGV, SIGTERM, SIGFPE, SIGILL})
        std::signal(signal, SIG_DFL);
    ::alarm(static_cast<unsigned>(kPatience.count()));
    std::string error;
    try {
        error = body();
    } catch (const std::exception& thrown) {
        error = std::string("an exception was thrown: ") + thrown.what();
    }
    std::fprintf(stderr, "%s", error.c_str());
    ::_exit(error.empty() ? 0 : 1);
}

}  // namespace

ChildEnd run_in_child(const std::function<std::string()>& body) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    std::fflush(nullptr);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        run_child(body, ends[1]);
    }
    ::close(ends[1]);
    ChildEnd end;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
        end.output.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    return end;
}

bool become_unprivileged(std::size_t locked_memory_bytes) {
    const rlimit limit{locked_memory_bytes, locked_memory_bytes};
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
    constexpr uid_t kNobody = 65534;
    return ::geteuid() != 0 || (::setresgid(kNobody, kNobody, kNobody) == 0 &&
                                ::setresuid(kNobody, kNobody, kNobody) == 0);
}

bool limit_descriptors(int more) {
    const int next = ::dup(STDERR_FILENO);
    if (next < 0 && errno != EMFILE) return false;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (next >= 0) ::close(next);
    limit.rlim_cur =
        (next >= 0 ? static_cast<rlim_t>(next) : limit.rlim_cur) + static_cast<rlim_t>(more);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool accept_loses_connections() noexcept {
#ifdef UAIO_HAS_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

bool refuse_io_uring(int error) { return refuse_system_call(__NR_io_uring_setup, error); }

bool refuse_system_call(long number, int error) {
    sock_filter program[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<unsigned>(number)},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const sock_fprog filter{sizeof program / sizeof program[0], program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace uaio
