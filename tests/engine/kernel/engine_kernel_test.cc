// Which kernel an engine chooses, and what it reports where one is refused.
#include <uaio/argument_error.h>
#include <uaio/engine.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::engine_kernel_test {

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

EngineOptions asking_for(KernelKind kind) {
    EngineOptions options;
    options.kernel = kind;
    return options;
}

std::string run_a_nop(Engine& engine) {
    Aio nop(engine);
    submit_nop(nop);
    const std::error_code error = nop.wait();
    return error ? "a NOP failed: " + error.message() : "";
}

// In a child where `call`, one of io_uring's, fails with `error`.
std::string check_refusal(int error, std::string_view cause, long call = __NR_io_uring_setup) {
    ::unsetenv("UAIO_KERNEL");
    const std::size_t descriptors = open_descriptors();
    if (!refuse_system_call(call, error)) return "the filter was not installed";
    try {
        const Engine engine(asking_for(KernelKind::io_uring));
        return "io_uring was not refused";
    } catch (const std::system_error& refused) {
        const std::string what = refused.what();
        if (refused.code() != std::error_code(error, std::system_category())) return what;
        for (const std::string_view part : {cause, std::string_view("KernelKind::epoll")}) {
            if (!has(what, part)) return "no " + std::string(part) + " in: " + what;
        }
        if (open_descriptors() != descriptors) return "descriptors were left open";
    }
    Engine engine;
    if (engine.kernel() != KernelKind::epoll) return "the engine did not fall back to epoll";
    if (!has(engine.kernel_reason(), cause)) return std::string(engine.kernel_reason());
    return run_a_nop(engine);
}

TEST_CASE("an engine falls back to epoll and reports the reason if seccomp forbids io_uring") {
    for (const int error : {EPERM, ENOSYS}) {
        const ChildEnd end = run_in_child([error] { return check_refusal(error, "seccomp"); });
        INFO(end.output);
        CHECK(end.succeeded());
    }
}

TEST_CASE(
    "an engine falls back to epoll and reports the reason if seccomp forbids one io_uring call") {
    constexpr std::pair<long, std::string_view> kCalls[] = {
        {__NR_io_uring_setup, "io_uring_setup(2)"},
        {__NR_io_uring_enter, "io_uring_enter(2)"},
        {__NR_io_uring_register, "io_uring_register(2)"},
    };
    for (const auto& [call, name] : kCalls) {
        for (const int error : {EPERM, ENOSYS}) {
            CAPTURE(name);
            CAPTURE(error);
            const ChildEnd by_name = run_in_child([&] { return check_refusal(error, name, call); });
            CHECK(by_name.output == "");
            const ChildEnd by_cause =
                run_in_child([&] { return check_refusal(error, "seccomp", call); });
            CHECK(by_cause.output == "");
        }
    }
}

TEST_CASE("a wait fails with the error of a seccomp filter that is installed after the engine") {
    const ChildEnd end = run_in_child([]() -> std::string {
        ::unsetenv("UAIO_KERNEL");
        std::optional<Engine> engine;
        try {
            engine.emplace(asking_for(KernelKind::io_uring));
        } catch (const std::system_error&) {
            report_skip("the kernel refuses io_uring");
            return "";
        }
        Aio parked(*engine);
        std::thread([&] { submit_parked(parked); }).join();
        if (!refuse_system_call(__NR_io_uring_register, EPERM)) return "no filter";
        const std::error_code error = parked.wait();
        ::_exit(error == std::errc::operation_not_permitted ? 0 : 1);
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE(
    "an engine that the kernel refuses in mid-run takes more operations than its ring holds") {
    const ChildEnd end = run_in_child([]() -> std::string {
        ::unsetenv("UAIO_KERNEL");
        EngineOptions options = asking_for(KernelKind::io_uring);
        options.entries = 8;
        std::optional<Engine> engine;
        try {
            engine.emplace(options);
        } catch (const std::system_error&) {
            report_skip("the kernel refuses io_uring");
            return "";
        }
        if (!refuse_system_call(__NR_io_uring_enter, EPERM)) return "no filter";
        std::vector<std::unique_ptr<Aio>> aios;
        for (int i = 0; i < 100; ++i)
            submit_nop(*aios.emplace_back(new Aio(*engine)));
        for (const auto& aio : aios)
            aio->cancel();
        const std::error_code error = aios.back()->wait();
        ::_exit(error == std::errc::operation_not_permitted ? 0 : 1);
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("the destructor of an Aio that a refused ring keeps busy stops the program") {
    const EngineOptions options = options_on(KernelKind::io_uring);
    if (options.kernel != KernelKind::io_uring) return;
    const ChildEnd end = run_in_child([&]() -> std::string {
        Engine engine(options);
        engine.run_once(std::chrono::nanoseconds::zero());
        if (!refuse_system_call(__NR_io_uring_enter, EPERM)) return "no filter";
        auto parked = std::make_unique<Aio>(engine);
        submit_parked(*parked);
        parked.reset();  // its canceler ends it without the kernel
        auto nop = std::make_unique<Aio>(engine);
        submit_nop(*nop);
        std::fputs("the parked one ended\n", stderr);
        nop.reset();
        return "the program continued";
    });
    INFO(end.output);
    CHECK(end.signal == SIGABRT);
    CHECK(has(end.output, "the parked one ended"));
    CHECK(has(end.output, "refused the ring of the engine"));
}

TEST_CASE("an engine reports that a security module forbids io_uring") {
    const ChildEnd end = run_in_child([] { return check_refusal(EACCES, "security module"); });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("the error on an old kernel names the required version") {
    const ChildEnd end = run_in_child([] { return check_refusal(EINVAL, "5.19"); });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("an engine halves its rings until memory suffices, or fails and names the limit") {
    const ChildEnd refused = run_in_child([] { return check_refusal(ENOMEM, "RLIMIT_MEMLOCK"); });
    INFO(refused.output);
    CHECK(refused.succeeded());

    // A kernel that charges rings to the limit gets smaller ones, and the reason says so; since
    // 5.12 the limit does not apply, and the rings have their full size.
    const ChildEnd small = run_in_child([]() -> std::string {
        ::unsetenv("UAIO_KERNEL");
        if (!become_unprivileged(16 * 1024)) return "the limit could not be set";
        EngineOptions options;
        options.entries = 32768;
        Engine engine(options);
        if (engine.kernel() == KernelKind::io_uring && has(engine.kernel_reason(), " of 32768")) {
            if (!has(engine.kernel_reason(), "16 KiB")) return std::string(engine.kernel_reason());
        }
        return run_a_nop(engine);
    });
    INFO(small.output);
    CHECK(small.succeeded());
}

TEST_CASE("UAIO_KERNEL affects only KernelKind::automatic") {
    const ChildEnd end = run_in_child([]() -> std::string {
        ::setenv("UAIO_KERNEL", "epoll", 1);
        if (Engine().kernel() != KernelKind::epoll) return "UAIO_KERNEL=epoll was not used";
        ::setenv("UAIO_KERNEL", "", 1);
        static_cast<void>(Engine().kernel());
        ::setenv("UAIO_KERNEL", "io_uring", 1);
        if (Engine(asking_for(KernelKind::epoll)).kernel() != KernelKind::epoll) return "overruled";
        ::setenv("UAIO_KERNEL", "windows", 1);
        try {
            const Engine engine;
            return "an invalid UAIO_KERNEL was accepted";
        } catch (const std::system_error& error) {
            if (error.code() != ArgumentErrc::invalid_option || !has(error.what(), "windows")) {
                return error.what();
            }
        }
        return "";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("fd() without a free descriptor names the limit to raise and may be repeated") {
    const ChildEnd end = run_in_child([]() -> std::string {
        for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
            Engine engine(options_on(kind));
            const std::size_t before = open_descriptors();
            for (int left = 0; left < 3; ++left) {
                if (!limit_descriptors(left)) return "the limit could not be set";
                try {
                    return "fd() returned " + std::to_string(engine.fd());
                } catch (const std::system_error& refused) {
                    if (refused.code() != std::errc::too_many_files_open) return refused.what();
                    if (!has(refused.what(), "ulimit -n")) return refused.what();
                }
                if (!limit_descriptors(64)) return "the limit could not be lifted";
                if (open_descriptors() != before) return "descriptors were left open";
            }
            if (engine.fd() < 0) return "fd() is negative";
        }
        return "";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("a constructor without a free descriptor names the limit to raise and leaks none") {
    const ChildEnd end = run_in_child([]() -> std::string {
        ::unsetenv("UAIO_KERNEL");
        const std::size_t before = open_descriptors();
        if (!limit_descriptors(0)) return "the limit could not be set";
        for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
            try {
                const Engine engine(asking_for(kind));
                return "the call was not refused";
            } catch (const std::system_error& refused) {
                if (refused.code() != std::errc::too_many_files_open) return refused.what();
                if (!has(refused.what(), "ulimit -n")) return refused.what();
            }
        }
        if (!limit_descriptors(64)) return "the limit could not be lifted";
        return open_descriptors() == before ? "" : "descriptors were left open";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

}  // namespace uaio::engine_kernel_test
