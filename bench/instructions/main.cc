// Runs one work in this process, single-threaded, for bench/instructions.py, which counts the
// instructions under callgrind. The other side of the work is a process of its own, started by
// exec(3), so that valgrind does not trace it.
//
//   instructions --list                    prints NAME BATCH SHORTER LONGER FLOOR, a line a work
//   instructions --compiler                prints the compiler and the architecture
//   instructions WORK COUNT [floor]        runs COUNT operations, rounded up to whole batches
//   instructions WORK COUNT ENTRIES COMPLETIONS   with these sizes of the engine's rings
//   instructions --peer WORK COUNT FD      the other side: started by the line above
//
// Exits with 77, and prints the reason, if the work cannot run here.
#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"
#include "bench/peers/raw_ring.h"
#include "bench/support/unavailable.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace uaio::bench {
namespace {

constexpr int kCannotRun = 77;

constexpr Work kWorks[] = {
    {"engine_nop", 32, 32 * 200, 32 * 2200, &run_nops, &run_nops_floor, nullptr},
    {"post", 32, 32 * 200, 32 * 2200, &run_posts, nullptr, nullptr},
    {"timers", 1024, 1024 * 16, 1024 * 116, &run_timers, nullptr, nullptr},
    {"echo_callbacks", kConnections, 64 * 50, 64 * 450, &echo_with_callbacks, &echo_floor,
     &echo_peer},
    {"echo_coroutines", kConnections, 64 * 50, 64 * 450, &echo_with_coroutines, &echo_floor,
     &echo_peer},
    {"write_all_1", kWrites, 64 * 50, 64 * 350, &write_all<1>, &write_all_floor<1>, &discard_peer},
    {"write_all_8", kWrites, 64 * 50, 64 * 350, &write_all<8>, &write_all_floor<8>, &discard_peer},
    {"write_all_64", kWrites, 64 * 50, 64 * 350, &write_all<64>, &write_all_floor<64>,
     &discard_peer},
    {"write_all_queued", kWrites, 64 * 50, 64 * 450, &write_all_queued, &write_all_queued_floor,
     &discard_peer},
    {"http_fixed", kConnections, 64 * 20, 64 * 120, &http_fixed, &http_fixed_floor,
     &http_fixed_peer},
    {"http_pipelined", kConnections* kPipelined, 1024 * 3, 1024 * 10, &http_pipelined,
     &http_pipelined_floor, &http_pipelined_peer},
    {"http_file", kConnections, 64 * 20, 64 * 120, &http_file, &http_file_floor, &http_file_peer},
    {"connect_http_close", kConnections, 64 * 10, 64 * 50, &http_close, &http_close_floor,
     &http_close_peer},
    {"connect_echo_close", kConnections, 64 * 10, 64 * 60, &echo_and_close, &echo_and_close_floor,
     &echo_and_close_peer},
    {"http_client", kConnections, 64 * 20, 64 * 120, &http_client, &http_client_floor,
     &http_client_peer},
#if UAIO_BENCH_TLS
    {"tls_echo", kConnections, 64 * 20, 64 * 120, &tls_echo, &tls_echo_floor, &tls_echo_peer},
    {"tls_handshake", 1, 20, 80, &tls_handshake, &tls_handshake_floor, &tls_handshake_peer},
    {"tls_resumed", 1, 20, 80, &tls_handshake, &tls_handshake_floor, &tls_resumed_peer},
#else
    {"tls_echo", 1, 1, 2, nullptr, nullptr, nullptr},
    {"tls_handshake", 1, 1, 2, nullptr, nullptr, nullptr},
    {"tls_resumed", 1, 1, 2, nullptr, nullptr, nullptr},
#endif
    {"easy_send", kWrites, 64 * 50, 64 * 350, &easy_send, &easy_send_floor, &discard_peer},
};

const Work& work_of(std::string_view name) {
    for (const Work& work : kWorks) {
        if (work.name == name) return work;
    }
    throw std::runtime_error("there is no work " + std::string(name));
}

template <class Number>
Number number_of(std::string_view text) {
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        throw std::runtime_error("not a number: " + std::string(text));
    }
    return number;
}

[[noreturn]] void fail(const char* call) {
    throw std::system_error(errno, std::system_category(), call);
}

// The process of the other side.
class Peer {
public:
    Peer(const Work& work, std::uint64_t count, int fd) {
        // Not /proc/self/exe itself, which is valgrind there.
        std::array<std::string, 5> texts = {
            std::filesystem::read_symlink("/proc/self/exe").string(), "--peer",
            std::string(work.name), std::to_string(count), std::to_string(fd)};
        std::vector<char*> arguments;
        for (std::string& text : texts)
            arguments.push_back(text.data());
        arguments.push_back(nullptr);
        process_ = ::fork();
        if (process_ < 0) fail("fork");
        if (process_ > 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::fcntl(fd, F_SETFD, 0);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ~Peer() {
        if (process_ < 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    // Waits for its end. Throws if it has failed.
    void finish() {
        int status = 0;
        if (::waitpid(std::exchange(process_, -1), &status, 0) < 0) fail("waitpid");
        if (status != 0) throw std::runtime_error("the peer has failed");
    }

private:
    pid_t process_ = -1;
};

void measure(const Work& work, std::uint64_t count, bool floor) {
    const Run run = floor ? work.floor : work.uaio;
    if (!work.uaio) throw Unavailable("this build has no OpenSSL");
    if (!run) throw Unavailable("there is no floor");
    { const RawRing probe; }  // throws Unavailable
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
    Control control{Descriptor(ends[0])};
    Descriptor other(ends[1]);
    if (!work.peer) return run(control, count);
    Peer peer(work, count, other.get());
    other = Descriptor();
    run(control, count);
    peer.finish();
}

void list() {
    for (const Work& work : kWorks) {
        std::printf("%s %llu %llu %llu %s\n", std::string(work.name).c_str(),
                    static_cast<unsigned long long>(work.batch),
                    static_cast<unsigned long long>(work.shorter),
                    static_cast<unsigned long long>(work.longer), work.floor ? "yes" : "no");
    }
}

// Budgets are comparable within one major version of a compiler on one architecture.
void print_compiler() {
#if defined(__clang__)
    std::printf("clang %d", __clang_major__);
#else
    std::printf("gcc %d", __GNUC__);
#endif
    utsname names{};
    ::uname(&names);
    std::printf(" %s\n", names.machine);
}

int run_program(const std::vector<std::string_view>& arguments) {
    if (arguments.size() == 1 && arguments[0] == "--list") {
        list();
        return 0;
    }
    if (arguments.size() == 1 && arguments[0] == "--compiler") {
        print_compiler();
        return 0;
    }
    if (arguments.size() == 4 && arguments[0] == "--peer") {
        Control control{Descriptor(number_of<int>(arguments[3]))};
        work_of(arguments[1]).peer(control, number_of<std::uint64_t>(arguments[2]));
        return 0;
    }
    const bool floor = arguments.size() == 3 && arguments[2] == "floor";
    if (arguments.size() == 4) {
        ring_sizes = {number_of<unsigned>(arguments[2]), number_of<unsigned>(arguments[3])};
    } else if (arguments.size() != 2 && !floor) {
        throw std::runtime_error(
            "usage: instructions --list | WORK COUNT [floor | ENTRIES COMPLETIONS]");
    }
    const Work& work = work_of(arguments[0]);
    const auto wanted = number_of<std::uint64_t>(arguments[1]);
    measure(work, (wanted + work.batch - 1) / work.batch * work.batch, floor);
    return 0;
}

}  // namespace
}  // namespace uaio::bench

int main(int argc, char** argv) try {
    return uaio::bench::run_program({argv + 1, argv + argc});
} catch (const uaio::bench::Unavailable& unavailable) {
    std::printf("%s\n", unavailable.what());
    return uaio::bench::kCannotRun;
} catch (const std::exception& error) {
    std::fprintf(stderr, "instructions: %s\n", error.what());
    return 1;
}
