"""Shared by the tests of uaio-send: servers that echo DATA and close, one of openssl's, and a way
to run the program.
"""

import contextlib
import os
import subprocess
from pathlib import Path

import proxy_lab
from lab import free_port, run_cases, wait_until
from proxy_lab import GREETING, echo_server

DATA = os.urandom(300_000)
THIS_MACHINE, ARGUMENTS, NAME, NO_CONNECTION, PROXY = 1, 2, 3, 4, 5
CERTIFICATE, TLS_FAILED, TIMED_OUT, CUT, NOT_SUPPORTED = 6, 7, 8, 9, 10


class Lab(proxy_lab.Lab):
    """The proxies, servers that echo DATA and close, and uaio-send."""

    def __init__(self, build, folder, stack):
        super().__init__(build, folder, stack)
        self.program = build / "tools" / "uaio-send"
        self.plain = f"tcp://127.0.0.1:{echo_server(stack, limit=len(DATA))}"
        if self.has_tls:
            self.secure_port = echo_server(stack, self.tls, len(DATA))
            self.secure = f"tls://localhost:{self.secure_port}"
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSLKEYLOGFILE"):
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)

    def command(self, *arguments):
        return [str(word) for word in (self.program, *arguments)]

    def send(self, *arguments, data=DATA):
        """Standard output, standard error and the exit code."""
        done = subprocess.run(self.command(*arguments), input=data, capture_output=True,
                              timeout=60, check=False)
        return done.stdout, done.stderr.decode(errors="replace"), done.returncode

    def echoes(self, *arguments, data=DATA):
        out, messages, code = self.send(*arguments, data=data)
        assert code == 0, f"{arguments} ended with {code}: {messages}"
        assert out == GREETING + data, f"{arguments}: {len(out)} bytes came back, or other bytes"
        return messages

    def echoes_both(self, *arguments):
        """Plain, and over TLS."""
        self.echoes(self.plain, *arguments)
        if self.has_tls:
            self.echoes(self.secure, "--cacert", self.authority, *arguments)

    def fails(self, code, words, *arguments, data=b""):
        out, messages, ended = self.send(*arguments, data=data)
        assert ended == code, f"{arguments} ended with {ended}, not {code}: {messages}"
        assert words in messages, f"{arguments}: {messages}"
        assert messages.startswith("uaio-send: "), messages
        return out


@contextlib.contextmanager
def openssl_server(lab, *more):
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-cert", lab.chain,
               "-key", lab.key, *more]
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.port = port
        try:
            wait_until(lambda: listens(port), "openssl does not listen")
            yield process
        finally:
            process.kill()


def listens(port):
    """Checks without a connection, which openssl would take for the test's."""
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
               for line in Path("/proc/net/tcp").read_text().splitlines()[1:])


def main(title, cases, arguments):
    """Runs the cases for BUILD, or only those named."""
    build, *only = arguments
    wanted = [case for case in cases if not only or case[0].__name__ in only]
    return run_cases(title, wanted,
                     lambda folder, stack: Lab(Path(build).resolve(), folder, stack))
