#!/usr/bin/env python3
"""Runs clang-tidy on the library and its programs, one file at a time on each processor.

    tools/tidy.py BUILD [--seconds N] [FILE]...

With --seconds N it starts no file after N seconds; it checks the files committed last first and
reports how many it left out. A file that passed is skipped until it, any header of the tree or the
settings change: BUILD/tidy/ records the files that passed.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# doctest's macros cost clang-tidy seconds a file and hide its findings; the compiler's own warnings
# cover the tests.
FOLDERS = ("base/", "aio/", "engine/", "transport/", "tools/", "examples/", "bench/")


def digest(paths):
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def wanted_files(build, settings):
    """Returns the compiled files of FOLDERS, each once, however many targets compile it.

    Writes their commands into the folder `settings`, without the precompiled header: clang cannot
    read gcc's, and without it a missing #include is an error.
    """
    names = {}
    commands = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT) and str(path.relative_to(ROOT)).startswith(FOLDERS):
            names[str(path.relative_to(ROOT))] = path
            entry["command"] = re.sub(r" -include \S+", "", entry["command"])
            commands.append(entry)
    (settings / "compile_commands.json").write_text(json.dumps(commands))
    return names


def tidy(tool, settings, path):
    """Returns the exit status and the findings, each with its lines of explanation."""
    # clang does not know gcc's own warnings, and io_uring_cqe ends in a flexible array.
    command = [tool, "--quiet", "-p", str(settings), "--extra-arg=-Wno-unknown-warning-option",
               "--extra-arg=-Wno-flexible-array-extensions", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    output = run.stdout.strip() or (run.stderr if run.returncode else "")
    findings = re.split(r"^(?=\S+:\d+:\d+: (?:error|warning):)", output, flags=re.MULTILINE)
    return run.returncode, [finding.strip() for finding in findings if finding.strip()]


def last_committed_first(names):
    """Sorts files by the time of the last commit that touched them, the newest first."""
    log = subprocess.run(["git", "-C", str(ROOT), "log", "--format=", "--name-only"],
                         capture_output=True, text=True, check=False).stdout.split("\n")
    place = {}
    for number, name in enumerate(log):
        place.setdefault(name, number)
    return sorted(names, key=lambda name: place.get(name, -1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    chosen = parser.parse_args()
    build = chosen.build.resolve()
    until = time.monotonic() + chosen.seconds
    tool = next(filter(shutil.which, ("clang-tidy-16", "clang-tidy-19", "clang-tidy")), None)
    if tool is None:
        print("tidy: clang-tidy is not installed", file=sys.stderr)
        return 1
    passed_before = build / "tidy"
    passed_before.mkdir(exist_ok=True)
    names = wanted_files(build, passed_before)
    if chosen.files:
        names = {name: path for name, path in names.items() if name in chosen.files}
    headers = sorted(path for path in ROOT.rglob("*.h")
                     if not path.relative_to(ROOT).parts[0].startswith("build"))
    common = digest([ROOT / ".clang-tidy", *headers]) + tool
    stamps = {name: passed_before / hashlib.sha256((common + name + digest([path])).encode())
              .hexdigest() for name, path in names.items()}
    todo = last_committed_first(name for name in names if not stamps[name].exists())
    failed = left_out = 0
    reported = set()  # a finding in a header occurs in every file that includes it
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        def one(name):
            if time.monotonic() >= until:
                return None, []
            return tidy(tool, passed_before, names[name])

        for name, (status, findings) in zip(todo, pool.map(one, todo)):
            left_out += status is None
            if status is None:
                continue
            if status == 0:
                stamps[name].touch()
                continue
            failed += 1
            for finding in findings:
                if finding not in reported:
                    print(finding, flush=True)
                reported.add(finding)
    print(f"tidy: {len(names)} files, {len(names) - len(todo)} unchanged, {failed} with findings"
          + (f", {left_out} not looked at: no time" if left_out else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
