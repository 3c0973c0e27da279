#!/usr/bin/env python3
"""Prints what `./dev test --options` needs for one of the sets below: the folder, the arguments of
meson, a bar, and those of tests/run.py.

    tests/option_sets.py [NUMBER]

CI runs without a number, and so with the next set after each commit.
"""

import re
import subprocess
import sys
from pathlib import Path

OPTIONS = Path(__file__).resolve().parent.parent / "meson_options.txt"
# The unit tests that the options concern: random runs have a stage of their own in CI.
TESTS = ["tests/aio/", "tests/life/", "tests/matrix/", "tests/transport/"]
# Where pages become inaccessible, parsers take minutes: the tests of what owns or lends memory.
GUARD_TESTS = ["tests/aio/", "tests/guard/", "tests/transport/stream/", "zero_copy", "registered"]

# The ends of each range, and options of the compiler. A line costs CI no time.
SETS = [
    "inline_iov=1 gather_entries=2 zero_copy_bytes=8192",
    "inline_iov=64 gather_bytes=0",
    "inline_iov=64 gather_bytes=1048576 gather_entries=1024",
    "sanitize_memory_guard=true b_ndebug=true",
    "b_lto=true",
]
# `./dev consumers`, a stage of CI too, builds the library without them: most unit tests use HTTP.
ELSEWHERE = ["http", "tls"]


def untested():
    """The options of the library, the first part of the file, that no set has."""
    library, _, _ = OPTIONS.read_text().partition("# Optional parts")
    return [option for option in re.findall(r"^option\('(\w+)'", library, re.MULTILINE)
            if option not in ELSEWHERE and not any(f"{option}=" in chosen for chosen in SETS)]


def main(number=None):
    if untested():
        sys.exit(f"tests/option_sets.py: no set has {', '.join(untested())}")
    if number is None:
        number = subprocess.run(["git", "rev-list", "--count", "HEAD"], check=True, text=True,
                                capture_output=True).stdout
    turn = (int(number) - 1) % len(SETS)
    chosen = SETS[turn]
    print(f"options: {chosen} (./dev test --options {turn + 1})", file=sys.stderr, flush=True)
    # With assertions, unless the set says otherwise.
    print("build-options/" + re.sub(r"\W+", "-", chosen), "-Db_ndebug=false",
          *(f"-D{option}" for option in chosen.split()),
          "|", *(f"--only {pattern}" for pattern in
                 (GUARD_TESTS if "sanitize_memory_guard" in chosen else TESTS)))


if __name__ == "__main__":
    main(*sys.argv[1:])
