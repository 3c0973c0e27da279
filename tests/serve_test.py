#!/usr/bin/env python3
"""uaio-serve, uaio-demo and uaio-send as programs: options, signals, and standard output that is
slow, closed or full.

    tests/serve_test.py BUILD [CASE]...

Prints a line a case for tests/run.py.
"""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

from lab import PATIENCE, Programs, Skip, answers, free_port, run_cases, wait_until

HELLO = b"hello\n"
PROGRAMS = ("uaio-serve", "uaio-send", "uaio-demo")
ENOUGH_LINES = 20_000  # of a log, to fill a pipe and the megabyte that uaio-serve keeps


class Lab(Programs):
    def __init__(self, build, folder, stack):
        super().__init__(build, folder, stack)
        self.site = folder / "site"
        self.site.mkdir()
        (self.site / "index.html").write_bytes(HELLO)

    def program(self, name):
        return str(self.build / "tools" / name)

    def run(self, name, *arguments, **more):
        """Exit code, standard output and standard error."""
        program = name if name == "sh" else self.program(name)
        done = subprocess.run([program, *arguments], capture_output=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60, **more)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    @contextlib.contextmanager
    def serving(self, *arguments, stdout=subprocess.PIPE, port=None, **more):
        """A running uaio-serve, with .port if its output is a pipe."""
        command = [self.program("uaio-serve"), "--port", str(port or 0), *arguments, str(self.site)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=subprocess.PIPE, **more) as process:
            try:
                if stdout == subprocess.PIPE:
                    process.port = int(re.search(rb":(\d+)/", read_line(process.stdout))[1])
                yield process
            finally:
                process.kill()
                process.communicate()


def read_line(stream):
    """A line, or its part that arrives within PATIENCE."""
    line = b""
    while not line.endswith(b"\n") and select.select([stream], [], [], PATIENCE)[0]:
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line


def ask(port, times=1, path="/"):
    """Requests on one connection, each answered."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        request = f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
        got = b""
        for begin in range(0, times, 100):
            count = min(100, times - begin)
            peer.sendall(request * count)
            wanted = begin + count
            while got.count(HELLO) < wanted - begin:
                more = peer.recv(1 << 16)
                assert more, "the server has closed the connection"
                got += more
            got = b""


def ends(process, code):
    assert process.wait(PATIENCE) == code, f"ended with {process.returncode}, not {code}"


def options_follow_the_gnu_conventions(lab):
    for name in PROGRAMS:
        for option in ("--help", "-h", "--hel"):
            code, out, messages = lab.run(name, option)
            assert code == 0 and out.startswith(f"Usage: {name} "), (name, out)
            assert not messages, (name, messages)
            assert "Exit codes:" in out and "--version" in out, out
        code, out, messages = lab.run(name, "--version")
        assert code == 0 and re.fullmatch(rf"{name} \(uaio\) [0-9.]+\n", out) and not messages, out
        for words, arguments in (("unrecognized option '--nonsense'", ["--nonsense"]),
                                 ("unrecognized option '--nonsense'", ["--nonsense=secret"]),
                                 ("invalid option -- 'Z'", ["-Z"]),
                                 ("option '--help' does not allow an argument", ["--help=yes"])):
            code, out, messages = lab.run(name, *arguments)
            assert code == 2 and not out, (name, code, out)
            assert messages == (f"{name}: {words}\n"
                                f"Try '{name} --help' for more information.\n"), messages
    for words, name, arguments in (
            ("option '--port' requires an argument", "uaio-serve", ["--port"]),
            ("option requires an argument -- 'p'", "uaio-serve", ["-lp"]),
            ("option '--tls' is ambiguous", "uaio-serve", ["--tls=x"]),
            ("missing directory", "uaio-serve", []), ("missing directory", "uaio-serve", ["--"]),
            ("more than one directory", "uaio-serve", ["a", "--", "--b"]),
            ("--port must be a number from 0 to 65535", "uaio-serve", ["--port=many", "a"]),
            ("missing URL", "uaio-send", ["-v"]), ("no arguments", "uaio-demo", ["a"])):
        code, out, messages = lab.run(name, *arguments)
        assert code == 2 and words in messages, (arguments, code, messages)


def a_folder_named_like_an_option_is_served_behind_two_dashes(lab):
    (lab.folder / "--log").mkdir()
    (lab.folder / "--log" / "index.html").write_bytes(HELLO)
    with subprocess.Popen([lab.program("uaio-serve"), "-p0", "-l", "--", "--log"], cwd=lab.folder,
                          stdout=subprocess.PIPE) as process:
        try:
            ask(int(re.search(rb":(\d+)/", read_line(process.stdout))[1]))
        finally:
            process.kill()


def the_kernel_in_use_is_printed(lab):
    for asked, words in (("epoll", b"kernel: epoll and system calls: "), ("", b"kernel: ")):
        with lab.serving(env={**os.environ, "UAIO_KERNEL": asked} if asked else None) as process:
            line = read_line(process.stdout)
            assert line.startswith(words) and len(line) > len(words) + 1, line


def log_lines_are_flushed_while_the_server_runs(lab):
    with lab.serving("--log") as process:
        read_line(process.stdout)  # the kernel
        for number in range(3):
            ask(process.port, path=f"/?secret={number}")
            line = read_line(process.stdout)
            assert line.startswith(b"GET / 200 "), line  # queries may hold secrets


def log_lines_are_flushed_at_the_end(lab):
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with lab.serving("--log") as process:
            ask(process.port, 100)
            process.send_signal(asked)
            out = process.communicate(timeout=PATIENCE)[0]
            ends(process, 0)
            assert out.count(b"\nGET / 200 ") == 100, out
            assert out.endswith(b"100 requests served\n"), out


def a_log_reader_that_leaves_does_not_end_the_server(lab):
    with lab.serving("--log") as process:
        process.stdout.close()
        ask(process.port, 10)
        line = read_line(process.stderr)
        assert b"standard output: Broken pipe; lines are lost" in line, line
        ask(process.port, 10)
        process.send_signal(signal.SIGTERM)
        ends(process, 0)
        assert re.fullmatch(rb"uaio-serve: \d+ lines of the output were lost\n",
                            process.stderr.read()), "the loss is not counted"


def a_full_disk_does_not_end_the_server(lab):
    port = free_port()
    with open("/dev/full", "wb") as full, lab.serving("--log", stdout=full, port=port) as process:
        line = read_line(process.stderr)
        assert b"standard output: No space left on device; lines are lost" in line, line
        ask(port, 10)
        process.send_signal(signal.SIGTERM)
        ends(process, 0)


def a_log_that_is_not_read_does_not_stop_the_server(lab):
    with lab.serving("--log") as process:
        ask(process.port, ENOUGH_LINES * 4, path="/?" + "x" * 50)
        line = read_line(process.stderr)
        assert b"standard output is not read fast enough; lines are lost" in line, line
        ask(process.port, 10)
        process.send_signal(signal.SIGTERM)
        ends(process, 0)


def standard_error_that_is_not_read_does_not_stop_the_server(lab):
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 4096)
    os.set_blocking(writes, True)
    port = free_port()
    command = [lab.program("uaio-serve"), "--log", "--port", str(port), str(lab.site)]
    with open("/dev/full", "wb") as full, \
            subprocess.Popen(command, stdout=full, stderr=writes) as process:
        try:
            wait_until(lambda: answers(port), "uaio-serve does not listen")
            ask(port, 10)
            process.send_signal(signal.SIGTERM)
            ends(process, 0)
        finally:
            process.kill()
    os.close(reads)
    os.close(writes)


def a_second_signal_ends_the_server_at_once(lab):
    for first, second in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT),
                          (signal.SIGINT, signal.SIGTERM)):
        with lab.serving() as process, \
                socket.create_connection(("127.0.0.1", process.port)) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n")  # a begun request: the drain waits for it
            read_line(process.stdout)  # the kernel
            process.send_signal(first)
            line = read_line(process.stdout)
            assert line.startswith(b"ending: "), line
            process.send_signal(second)
            ends(process, 128 + second)


def help_that_cannot_be_written_is_an_error(lab):
    for name in PROGRAMS:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([lab.program(name), "--help"], stdout=full, check=False,
                                  stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 1, done
        assert done.stderr == f"{name}: standard output: No space left on device\n".encode(), done
        code, _, messages = lab.run("sh", "-c", f"exec {lab.program(name)} --version >&-")
        assert code == 1 and messages == f"{name}: standard output: Bad file descriptor\n", messages


def a_server_without_standard_output_reports_it_and_serves(lab):
    port = free_port()
    command = f"exec {lab.program('uaio-serve')} --port {port} {lab.site} >&- <&-"
    with subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE) as process:
        try:
            line = read_line(process.stderr)
            assert b"standard output: Bad file descriptor; lines are lost" in line, line
            ask(port, 10)
            process.send_signal(signal.SIGTERM)
            ends(process, 0)
        finally:
            process.kill()


def an_empty_value_is_refused(lab):
    for name, may_be in (("uaio-serve", ()), ("uaio-send", ("proxy", "no-proxy"))):
        options = re.findall(r"--([a-z0-9-]+)=", lab.run(name, "--help")[1])
        assert len(set(options)) > 8, options
        for option in set(options) - set(may_be):
            for arguments in ([f"--{option}=", "operand"], [f"--{option}", "", "operand"]):
                code, out, messages = lab.run(name, *arguments)
                words = f"{name}: the argument of option '--{option}' is empty\n"
                assert code == 2 and not out, (arguments, code, out)
                assert messages.startswith(words), (arguments, messages)
        code, out, messages = lab.run(name, "")
        assert code == 2 and not out and "is empty" in messages, messages


def valgrind_reports_nothing_for_a_closed_connection(lab):
    if b"san_init" in Path(lab.program("uaio-send")).read_bytes():
        raise Skip("a sanitizer does not run under valgrind")
    with lab.serving() as process:
        done = subprocess.run(["valgrind", "-q", "--error-exitcode=99", lab.program("uaio-send"),
                               f"tcp://127.0.0.1:{process.port}"], capture_output=True,
                              input=b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                              check=False, timeout=60, env={**os.environ, "UAIO_KERNEL": "epoll"})
    assert done.returncode == 0 and not done.stderr, done
    assert done.stdout.endswith(HELLO), done


CASES = [(case, sys.executable) for case in (
    options_follow_the_gnu_conventions,
    a_folder_named_like_an_option_is_served_behind_two_dashes, the_kernel_in_use_is_printed,
    log_lines_are_flushed_while_the_server_runs, log_lines_are_flushed_at_the_end,
    a_log_reader_that_leaves_does_not_end_the_server, a_full_disk_does_not_end_the_server,
    a_log_that_is_not_read_does_not_stop_the_server,
    standard_error_that_is_not_read_does_not_stop_the_server,
    a_second_signal_ends_the_server_at_once, help_that_cannot_be_written_is_an_error,
    a_server_without_standard_output_reports_it_and_serves, an_empty_value_is_refused)]
CASES.append((valgrind_reports_nothing_for_a_closed_connection, "valgrind"))


def main():
    # nohup(1) ignores SIGHUP for its programs, and a server then leaves it ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    build, *only = sys.argv[1:]
    wanted = [case for case in CASES if not only or case[0].__name__ in only]
    return run_cases("programs", wanted,
                     lambda folder, stack: Lab(Path(build).resolve(), folder, stack))


if __name__ == "__main__":
    sys.exit(main())
