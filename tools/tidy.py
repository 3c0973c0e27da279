#!/usr/bin/env python3
"""clang-tidy over the library and its programs, as many files at once as there are processors.

    tools/tidy.py BUILD [FILE]...

A file that was clean stays clean until it, any header of the tree or the settings change: what has
passed is remembered in BUILD/tidy/.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# doctest's macros cost clang-tidy seconds a file and hide what it has to say; the compiler's own
# warnings cover the tests.
FOLDERS = ("aio/", "engine/", "transport/", "tools/", "examples/", "bench/")


def digest(paths):
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def wanted_files(build):
    """The compiled files of FOLDERS; each once, however many targets compile it."""
    names = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT) and str(path.relative_to(ROOT)).startswith(FOLDERS):
            names[str(path.relative_to(ROOT))] = path
    return names


def tidy(tool, build, path):
    """The exit status and the findings, each with its lines of explanation."""
    # gcc's own warnings mean nothing to clang, and io_uring_cqe ends in a flexible array.
    command = [tool, "--quiet", "-p", str(build), "--extra-arg=-Wno-unknown-warning-option",
               "--extra-arg=-Wno-flexible-array-extensions", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    said = run.stdout.strip() or (run.stderr if run.returncode else "")
    findings = re.split(r"^(?=\S+:\d+:\d+: (?:error|warning):)", said, flags=re.MULTILINE)
    return run.returncode, [finding.strip() for finding in findings if finding.strip()]


def main():
    build = Path(sys.argv[1]).resolve()
    tool = next(filter(shutil.which, ("clang-tidy-16", "clang-tidy-19", "clang-tidy")), None)
    if tool is None:
        print("tidy: clang-tidy is not installed", file=sys.stderr)
        return 1
    names = wanted_files(build)
    if len(sys.argv) > 2:
        names = {name: path for name, path in names.items() if name in sys.argv[2:]}
    headers = sorted(path for path in ROOT.rglob("*.h")
                     if not path.relative_to(ROOT).parts[0].startswith("build"))
    common = digest([ROOT / ".clang-tidy", *headers]) + tool
    passed_before = build / "tidy"
    passed_before.mkdir(exist_ok=True)
    stamps = {name: passed_before / hashlib.sha256((common + name + digest([path])).encode())
              .hexdigest() for name, path in names.items()}
    todo = [name for name in names if not stamps[name].exists()]
    failed = 0
    told = set()  # what stands in a header is found from every file that includes it
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = pool.map(lambda name: tidy(tool, build, names[name]), todo)
        for name, (status, findings) in zip(todo, jobs):
            if status == 0:
                stamps[name].touch()
                continue
            failed += 1
            for finding in findings:
                if finding not in told:
                    print(finding, flush=True)
                told.add(finding)
    print(f"tidy: {len(names)} files, {len(names) - len(todo)} unchanged, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
