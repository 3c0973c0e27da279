"""Processes of the paired groups: each runs on one processor and ends with this program, however
that ends."""

import os
import select
import shutil
import socket
import subprocess
import tempfile
import time

# Seconds that a process has for its next line.
PATIENCE = 60


class Failure(Exception):
    """Ends the benchmark."""


class Unavailable(Exception):
    """Leaves a contender out."""


def processors():
    """The processor of the measured side, and that of the other end."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def require(program):
    """Returns the program; a missing one is a peer whose package is not installed."""
    if not shutil.which(str(program)):
        raise Unavailable(f"no {os.path.basename(program)}")
    return program


class Child:
    """A running program. The kernel kills it when the thread that started it ends."""

    def __init__(self, command, processor):
        self.name = os.path.basename(str(command[0]))
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(processor),
             *map(str, command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()

    def read_line(self):
        """The next line that the program prints. Lines come one at a time, so that none waits in
        the buffer of the pipe."""
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.errors.seek(0)
            reason = "printed nothing" if not ready else f"ended: {self.errors.read()[-500:]}"
            raise Failure(f"{self.name} {reason}")
        return line.strip()

    def ask(self, command):
        """Passes a command to the program; returns its answer, a line, as numbers."""
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # read_line() says why
        return [float(word) for word in self.read_line().split()]

    def cpu_ns(self):
        """The CPU time of all its threads, io_uring's workers included: clock_getcpuclockid(3)."""
        return time.clock_gettime_ns((~self.process.pid << 3) | 2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(child, port):
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and child.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.01)
    child.errors.seek(0)
    raise Failure(f"{child.name} does not listen on port {port}: {child.errors.read()[-500:]}")
