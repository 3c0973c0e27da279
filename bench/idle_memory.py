#!/usr/bin/env python3
"""Prints what an idle connection of a server holds, as BUILD/bench/idle_memory measures it.

    bench/idle_memory.py BUILD
"""

import subprocess
import sys

import run


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    measured = subprocess.run([f"{sys.argv[1]}/bench/idle_memory"], capture_output=True, text=True,
                              check=False)
    if measured.returncode:
        sys.exit(f"memory failed: {measured.stderr}")
    for line in run.preamble([]):
        if line.startswith(("date", "machine", "kernel")):
            print(line)
    print(f"command  ./dev bench memory\n\n{measured.stdout}", end="")


if __name__ == "__main__":
    main()
