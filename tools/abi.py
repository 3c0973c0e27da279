#!/usr/bin/env python3
"""Compares the interfaces of two builds of the library, for `./dev abi`.

    tools/abi.py OLD_SOURCE OLD_BUILD NEW_SOURCE NEW_BUILD

Each BUILD has the shared library with debug information. Prints the differences that abidiff finds
in the classes and functions of the public headers, and in the types that these use. The symbols of
other functions are visible too, but may change freely. Templates and inline functions are compiled
into the user's program: `git diff TAG -- include/` shows those. An inline function counts as
removed if the library no longer uses it.

The exit status is 0 with or without differences, and 1 if the comparison failed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Bits of abidiff's exit status.
FAILED, CHANGED, INCOMPATIBLE = 3, 4, 8


def declared(source):
    """Returns the qualified names of the classes and functions in the public headers."""
    headers = sorted(str(path) for path in Path(source, "include/uaio").glob("*.h"))
    tags = subprocess.run(
        ["ctags", "-f", "-", "--language-force=C++", "--kinds-C++=csp", "--output-format=xref",
         "--_xformat=%s::%N", *headers], capture_output=True, text=True, check=True)
    names = set(tags.stdout.splitlines())
    # The class stands for its members.
    return {name for name in names if name.rpartition("::")[0] not in names}


def suppressions(names):
    """Returns a suppression file for all functions but these, and for all variables."""
    # Names whole classes: suppressing a member also suppresses the findings in its class.
    pattern = "|".join(re.sub(r"[^\w:]", ".", name) for name in sorted(names))
    return (f"[suppress_function]\n  name_not_regexp = ^({pattern})([:<]|$)\n"
            "[suppress_variable]\n  name_regexp = .\n"
            "[suppress_variable]\n  symbol_name_regexp = .\n")


def main():
    old_source, old_build, new_source, new_build = sys.argv[1:]
    with tempfile.NamedTemporaryFile("w", suffix=".suppr") as file:
        file.write(suppressions(declared(old_source) | declared(new_source)))
        file.flush()
        command = ["abidiff", "--no-show-locs", "--drop-private-types",
                   "--no-unreferenced-symbols", "--suppr", file.name,
                   "--headers-dir1", f"{old_source}/include/uaio",
                   "--headers-dir2", f"{new_source}/include/uaio",
                   f"{old_build}/libuaio.so", f"{new_build}/libuaio.so"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode < 0 or done.returncode & FAILED:
        print(done.stderr, end="", file=sys.stderr)
        print(f"abi: abidiff failed, exit status {done.returncode}", file=sys.stderr)
        return 1
    if done.returncode & INCOMPATIBLE:
        print("abi: incompatible: programs built with the old library may fail with the new one")
    elif done.returncode & CHANGED:
        print("abi: changed: additions are compatible; a new size, offset or value is not")
    else:
        print("abi: no differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
