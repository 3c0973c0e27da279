#!/usr/bin/env python3
"""Measures the effect of the build options: builds the library once for each value, runs the same
benchmark of all builds in turn, and prints the table of docs/tuning.md.

    bench/tuning.py [--rounds N] [--seconds S]

The builds are in build-tuning/OPTION-VALUE; the build with all defaults is the baseline. A ratio is
the baseline's time divided by that of the changed build, so over 1 the changed value is faster: the
median of the rounds, with the lowest and the highest.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import run

ROOT = Path(__file__).resolve().parent.parent
BUILDS = ROOT / "build-tuning"
DEFAULT = "default"

# The options and the cases that measure them: (option, default, values, [(group, case)]).
PLAN = [
    ("inline_iov", 8, [1, 2, 16, 64],
     [("write_all", "4KiB/depth1")]),
    ("gather_bytes", 65536, [0, 4096, 1048576],
     [("write_all", "64B/depth16"), ("write_all", "4KiB/depth16")]),
    ("gather_entries", 64, [16, 256, 1024],
     [("write_all", "64B/depth16")]),
    ("zero_copy_bytes", 65536, [32768, 131072],
     [("zero_copy", "tcp/32KiB/hot/automatic"), ("zero_copy", "tcp/32KiB/cold/automatic"),
      ("zero_copy", "tcp/64KiB/hot/automatic"), ("zero_copy", "tcp/64KiB/cold/automatic")]),
]


def build(name, *options):
    folder = BUILDS / name
    setup = ["meson", "setup", str(folder), "--buildtype=release", "-Ddefault_library=static",
             "-Dtests=false", "-Dexamples=false", "-Dtools=false", "-Dtls=disabled", *options]
    if (folder / "build.ninja").exists():
        setup.insert(2, "--reconfigure")
    subprocess.run(setup, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    programs = sorted({f"bench/{group}" for *_, cases in PLAN for group, _ in cases})
    subprocess.run(["ninja", "-C", str(folder), "--quiet", *programs], check=True,
                   stdout=subprocess.DEVNULL)
    return folder


def time_of(folder, group, case, seconds):
    """Returns the nanoseconds for one unit."""
    results = run.run_round(folder / "bench" / group, f"--benchmark_min_time={seconds}",
                            f"--benchmark_filter=^{case}/{run.OURS}(/|$)")
    entry, = results["benchmarks"]
    return entry["real_time" if "real_time" in entry["name"] else "cpu_time"]


def compare(values, group, case, chosen):
    """Returns {value: ratios to the default}; the builds run in turn, in alternating order."""
    names = [DEFAULT, *values]
    ratios = {value: [] for value in values}
    for number in range(chosen.rounds):
        times = {name: time_of(values.get(name, BUILDS / DEFAULT), group, case, chosen.seconds)
                 for name in (names if number % 2 else reversed(names))}
        for value in values:
            ratios[value].append(times[DEFAULT] / times[value])
    return ratios


def main(arguments):
    parser = argparse.ArgumentParser(description="Measures what the build options are worth.")
    parser.add_argument("--rounds", type=int, default=9, help="how often each build runs (9)")
    parser.add_argument("--seconds", type=float, default=0.2, help="each time for so long (0.2)")
    chosen = parser.parse_args(arguments)
    build(DEFAULT)
    rows = []
    for option, default, values, cases in PLAN:
        builds = {value: build(f"{option}-{value}", f"-D{option}={value}") for value in values}
        for group, case in cases:
            for value, ratios in compare(builds, group, case, chosen).items():
                rows.append(f"| `{option}` | {default} | {value} | `{group}` {case} | "
                            f"{statistics.median(ratios):.2f} | "
                            f"{min(ratios):.2f} .. {max(ratios):.2f} |")
                print(rows[-1], file=sys.stderr, flush=True)
    print("\n".join([*run.preamble(arguments)[:4], "command  ./dev bench tuning", "",
                     "| option | default | set to | measured by | ratio | spread |",
                     "|---|---|---|---|---|---|", *rows]))


if __name__ == "__main__":
    main(sys.argv[1:])
