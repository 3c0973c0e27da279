#!/usr/bin/env python3
"""Writes build-release/report.md: machine, commit, test results and benchmarks.

Collects the results of `./dev test` and `./dev bench` from the build folders and runs nothing.
"""

import csv
import json
import os
import platform
import re
import shlex
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEGS = [("build-test", "plain, with assertions"), ("build-asan", "address, undefined behaviour"),
        ("build-tsan", "threads"), ("build-guard", "released buffers inaccessible")]


def output_of(*command):
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def field(path, pattern):
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def machine():
    commit = output_of("git", "rev-parse", "--short=12", "HEAD")
    if output_of("git", "status", "--porcelain") not in ("", "unknown"):
        commit += ", with changes"
    cores = len(re.findall(r"^processor\s*:", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    memory = int(field("/proc/meminfo", r"^MemTotal:\s*(\d+)")) / 1048576
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    rows = [
        ("date", time.strftime("%Y-%m-%d %H:%M:%S %z")),
        ("commit", commit),
        ("version", field(ROOT / "meson.build", r"^\s*version: '([^']+)'")),
        ("kernel", platform.release()),
        ("system", field("/etc/os-release", r'^PRETTY_NAME="?([^"\n]+)')),
        ("processor", f"{field('/proc/cpuinfo', r'^model name[^:]*:(.*)$')}, {cores} cores"),
        ("memory", f"{memory:.1f} GiB"),
        ("compiler", output_of(*compiler, "--version").splitlines()[0]),
        ("liburing", output_of("pkg-config", "--modversion", "liburing")),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def tests():
    lines = ["| build | passed | failed | skipped | seconds | when |", "|---|---|---|---|---|---|"]
    skipped = []
    for folder, meaning in LEGS:
        path = ROOT / folder / "test-results.json"
        if not path.exists():
            continue
        run = json.loads(path.read_text())
        lines.append(f"| {meaning} | {run['passed']} | {run['failed']} | {run['skipped']} | "
                     f"{run['seconds']} | {run['time']} |")
        skipped += [f"- {case['name']}: {case['why']} ({meaning})" for case in run["cases"]
                    if case["outcome"] == "skip"]
    if len(lines) == 2:
        return ["No tests have been run: `./dev test`."]
    return lines + (["", "Skipped:", "", *skipped] if skipped else [])


def benchmarks():
    lines = []
    for path in sorted((ROOT / "build-release/bench").glob("*.csv")):
        rows = list(csv.reader(path.read_text().splitlines()))
        if rows:
            lines += ["", f"### {path.stem}", "", "| " + " | ".join(rows[0]) + " |",
                      "|" + "---|" * len(rows[0]),
                      *("| " + " | ".join(row) + " |" for row in rows[1:])]
    if not lines:
        return ["Nothing has been measured: `./dev bench`."]
    return ["A ratio over 1 means that uaio is better than the baseline.", *lines]


def main():
    report = ROOT / "build-release/report.md"
    report.parent.mkdir(exist_ok=True)
    lines = ["# Report", "", *machine(), "", "## Tests", "", *tests(), "", "## Benchmarks", "",
             *benchmarks(), ""]
    report.write_text("\n".join(lines))
    print(report.relative_to(ROOT))


if __name__ == "__main__":
    main()
