"""Shared by the scripts that start real programs: timeouts, ports, a base class that holds those
programs, and the lines that tests/run.py reads.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE = 20
IP_BIND_ADDRESS_NO_PORT = 24  # ip(7); socket has it from Python 3.12 on


class Skip(Exception):
    """Why a case cannot run here."""


def wait_until(done, otherwise):
    limit = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < limit, otherwise
        time.sleep(0.02)  # programs do not report that they listen


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect_as_one_of_many(port, number):
    """A connection among thousands: from several addresses, whose ports suffice also right after
    another test, and with options that let a server still listen on its port."""
    peer = socket.socket()
    peer.settimeout(PATIENCE)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    peer.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    peer.bind((f"127.0.0.{2 + number % 8}", 0))
    peer.connect(("127.0.0.1", port))
    return peer


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False,
                          timeout=60)
    assert done.returncode == 0, (f"{command[0]} ended with {done.returncode}: "
                                  f"{done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout


def same(got, wanted):
    assert got == wanted, f"{len(got)} bytes instead of {len(wanted)}, or other bytes"


class Programs:
    """Programs that run until the test ends, and a folder for their files."""

    def __init__(self, build, folder, stack):
        self.build, self.folder, self.stack = build, folder, stack

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def start(self, command, port_pattern=None, port=None):
        """Starts a program that listens; returns its port, printed by it or given."""
        log = self.folder / f"{Path(str(command[0])).name}.log"
        with open(log, "ab") as output:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE if port_pattern else output,
                                       stderr=output, text=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        if port_pattern:
            port = int(re.search(port_pattern, process.stdout.readline())[1])

        def ready():
            assert process.poll() is None, f"{command[0]}: {log.read_text()[-500:]}"
            return answers(port)

        wait_until(ready, f"{command[0]} does not listen on {port}")
        self.last = process
        return port


def run_cases(title, cases, make_lab):
    """Prints a line a case; a case is a function of the lab and the program that it needs."""
    os.environ["PATH"] += ":/usr/sbin"
    failed = False
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        lab = make_lab(folder, stack)
        for case, program in cases:
            label = f"{title}: " + case.__name__.replace("_", " ")
            if not shutil.which(program):
                print(f"skip {label}: {program} is not installed", flush=True)
                continue
            try:
                case(lab)
                print(f"ok {label}", flush=True)
            except Skip as why:
                print(f"skip {label}: {why}", flush=True)
            except Exception as error:  # fails this case alone
                failed = True
                print(f"not ok {label}: {' '.join(str(error).split())[:600]}", flush=True)
    return 1 if failed else 0
