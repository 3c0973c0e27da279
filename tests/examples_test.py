#!/usr/bin/env python3
"""Runs every example without arguments: each is a complete program that exits with status 0.

    tests/examples_test.py BUILD

Prints a line a case for tests/run.py.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60


def main():
    build = Path(sys.argv[1]).resolve()
    sources = sorted((ROOT / "examples").glob("*.cc"))
    failed = False
    for source in sources:
        why = ""
        try:
            done = subprocess.run([build / "examples" / source.stem], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                  timeout=SECONDS)
            if done.returncode:
                print(done.stdout.decode(errors="replace"))
                why = f"exit status {done.returncode}"
        except FileNotFoundError:
            why = "not built"
        except subprocess.TimeoutExpired:
            why = f"still running after {SECONDS} s"
        failed |= bool(why)
        print(f"not ok example {source.stem}: {why}" if why else f"ok example {source.stem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
