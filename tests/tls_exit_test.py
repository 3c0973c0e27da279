#!/usr/bin/env python3
"""exit(3) while an engine's thread runs TLS handshakes, by tests/programs/tls_exit.

    tests/tls_exit_test.py BUILD

Prints a line a case for tests/run.py.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import PATIENCE, Programs, run, run_cases

TIMES = 20


class Lab(Programs):
    """A certificate, and the number of runs of the program."""

    def __init__(self, build, folder, stack):
        super().__init__(build, folder, stack)
        self.chain, self.key = folder / "server.pem", folder / "server.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", self.key, "-out", self.chain, "-days", "2", "-subj", "/CN=exit",
            "-addext", "subjectAltName=DNS:localhost")

    def exits(self, engine):
        for turn in range(TIMES):
            for kernel in ("", "epoll"):
                done = subprocess.run(
                    [self.build / "tests" / "tls_exit", self.chain, self.key, engine],
                    env=os.environ | {"UAIO_KERNEL": kernel}, capture_output=True, check=False,
                    timeout=PATIENCE)
                assert done.returncode == 0, (f"run {turn}, kernel \"{kernel}\", ended with "
                                              f"{done.returncode}: {done.stderr[-500:]}")


def a_program_with_a_local_engine_exits(lab):
    lab.exits("local")


def a_program_with_a_global_engine_exits(lab):
    lab.exits("global")


CASES = [(a_program_with_a_local_engine_exits, "openssl"),
         (a_program_with_a_global_engine_exits, "openssl")]


def main():
    build = Path(sys.argv[1]).resolve()
    config = build / "include" / "uaio" / "config.h"
    if "kTls = true" not in config.read_text():
        print("skip tls exit: the build option tls is disabled")
        return 0
    if not shutil.which("openssl"):
        print("skip tls exit: openssl is not installed, which makes the certificates")
        return 0
    return run_cases("tls exit", CASES, lambda folder, stack: Lab(build, folder, stack))


if __name__ == "__main__":
    sys.exit(main())
