#!/usr/bin/env python3
"""Runs the benchmarks and compares uaio with the baselines.

    bench/run.py BUILD [GROUP]... [--csv] [--quick] [--smoke] [--rounds N] [--filter REGEX]

A group is a program bench/GROUP.cc, built as BUILD/bench/GROUP, one of the scripts
bench/http_server.py and bench/slowloris.py, which take the same arguments, or one of bench/paired/,
whose contenders are processes that stay up side by side; without a group all of them run.
A program runs several times. Each run is a round: it runs every benchmark once, in alternating
order. The ratio of a comparison is the median of the ratios within the rounds, where contender and
baseline run right after each other. Writes BUILD/bench/GROUP.json (Google Benchmark's format, all
rounds) and BUILD/bench/GROUP.csv.
"""

import argparse
import csv
import dataclasses
import datetime
import io
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import GROUPS as SIDE_BY_SIDE, contest
from paired.processes import Failure

ROOT = Path(__file__).resolve().parent.parent
OURS = "uaio"
HEADER = ["group", "case", "baseline", "ratio", "quartile1", "quartile3", "rounds"]

# Seconds for a group, and the number of its rounds: odd, so that the median is one of them.
QUICK = (40, 9)
FULL = (240, 15)
# Google Benchmark tries smaller numbers of iterations first, and contenders warm up: the factor
# between the duration of a benchmark and its measured time.
OVERHEAD = 1.9
ROUND_SECONDS_MAX = 900

# Groups that load whole servers, whose rounds have no time limit, and the program that each needs.
SCRIPTS = {"http_server": "bench/server_uaio", "slowloris": "tools/uaio-serve"}
SCRIPT_ROUNDS = (1, 7)

SUFFIXES = {"real_time": "real_time", "manual_time": "real_time"}


def groups_of_tree():
    programs = {path.stem for path in (ROOT / "bench").glob("*.cc")}
    return sorted({*SCRIPTS, *SIDE_BY_SIDE, *programs})


def command_of(program):
    if program.name not in SCRIPTS:
        return [str(program)]
    script = ROOT / "bench" / f"{program.name}.py"
    return [sys.executable, str(script), str(program.parent.parent)]


# ---- running ----

def run_program(program, *arguments):
    """Runs the program; returns its standard output."""
    command = [*command_of(program), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=ROUND_SECONDS_MAX)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{program.name} ran for more than {ROUND_SECONDS_MAX} s") from late
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def run_round(program, *arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        run_program(program, f"--benchmark_out={out.name}", "--benchmark_out_format=json",
                    *arguments)
        results = json.loads(Path(out.name).read_text())
    for entry in results["benchmarks"]:
        message = entry.get("error_message", "")
        if entry.get("error_occurred") and not message.startswith("unavailable"):
            raise Failure(f"{program.name}: {entry['name']}: {message}")
    return results


def measure(program, budget, rounds, pattern):
    """Returns the results of all rounds, in the format of one Google Benchmark file."""
    only = [f"--benchmark_filter={pattern}"] if pattern else []
    names = run_program(program, "--benchmark_list_tests=true", *only).split()
    if not names:
        raise Failure(f"{program.name} has no benchmark that matches {pattern}")
    seconds = budget / (rounds * len(names) * OVERHEAD)
    merged = {}
    for number in range(rounds):
        turned = ["--reverse"] if number % 2 else []
        seconds = min(max(seconds, 0.002), 0.5)
        began = time.monotonic()
        results = run_round(program, f"--benchmark_min_time={seconds:.4f}", *only, *turned)
        # Adjusts the measured time to the duration of this round: a busy machine takes longer.
        seconds *= budget / rounds / (time.monotonic() - began)
        merged.setdefault("context", results["context"])
        for entry in results["benchmarks"]:
            entry.update(repetitions=rounds, repetition_index=number)
            merged.setdefault("benchmarks", []).append(entry)
    merged["benchmarks"] += aggregates(merged["benchmarks"], rounds)
    return merged


def aggregates(entries, rounds):
    """Returns the median and coefficient of variation of each benchmark over the rounds."""
    made = []
    for name in dict.fromkeys(entry["name"] for entry in entries):
        runs = [entry for entry in entries if entry["name"] == name and "real_time" in entry]
        for kind, unit in (("median", "time"), ("cv", "percentage")):
            row = {"name": f"{name}_{kind}", "run_name": name, "run_type": "aggregate",
                   "repetitions": rounds, "threads": 1, "aggregate_name": kind,
                   "aggregate_unit": unit, "iterations": len(runs), "time_unit": "ns"}
            for clock in ("real_time", "cpu_time"):
                times = [entry[clock] for entry in runs]
                if not times:
                    continue
                middle = statistics.median(times)
                spread = statistics.pstdev(times) / middle if middle else 0.0
                row[clock] = middle if kind == "median" else spread
            made.append(row)
    return made


# ---- comparing ----

class Case:
    """One case of a group: the time of each contender in each round, in nanoseconds a unit."""

    def __init__(self, clock):
        self.clock = clock
        self.times = {}
        self.processor = {}  # CPU time of the contender's side, if several threads take part
        self.unavailable = {}

    def comparisons(self):
        """Yields (baseline, ratios, ratios of CPU time) for each baseline."""
        for baseline in self.times:
            if baseline != OURS and OURS in self.times:
                yield (baseline, paired(self.times, baseline), paired(self.processor, baseline))


def paired(times, baseline):
    ours, theirs = times.get(OURS, {}), times.get(baseline, {})
    return [theirs[number] / ours[number] for number in ours if number in theirs and ours[number]]


def quartiles(ratios):
    """The first and the third; half of the rounds lie between them."""
    if len(ratios) == 1:
        return ratios[0], ratios[0]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, high


def cases_of(results):
    cases = {}
    for entry in results["benchmarks"]:
        if entry.get("run_type") != "iteration":
            continue
        parts = entry["name"].split("/")
        clock = "cpu_time"
        if parts[-1] in SUFFIXES:
            clock = SUFFIXES[parts.pop()]
        contender = parts.pop()
        case = cases.setdefault("/".join(parts), Case(clock))
        if entry.get("error_occurred"):
            case.unavailable[contender] = entry["error_message"]
            continue
        number = entry["repetition_index"]
        case.times.setdefault(contender, {})[number] = entry[clock]
        if entry.get("side_cpu_ns"):
            case.processor.setdefault(contender, {})[number] = entry["side_cpu_ns"]
    return cases


def rows_of(group, cases):
    for name, case in cases.items():
        for baseline, ratios, _ in case.comparisons():
            low, high = quartiles(ratios)
            yield [group, name, baseline, f"{statistics.median(ratios):.3f}", f"{low:.3f}",
                   f"{high:.3f}", len(ratios)]


# ---- reporting ----

def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def machine():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name[^:]*:\s*(.*)$", text, re.MULTILINE)
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} processors"


def columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def table(group, cases, rounds):
    clocks = {case.clock for case in cases.values()}
    clock_names = {"cpu_time": "CPU time of the measured side", "real_time": "real time"}
    with_processor = any(case.processor for case in cases.values())
    head = ["case", OURS, "against", "", "ratio", "quartiles"]
    rows = [head + (["CPU ratio"] if with_processor else [])]
    for name, case in cases.items():
        ours = case.times.get(OURS, {})
        for baseline, ratios, processor in case.comparisons():
            low, high = quartiles(ratios)
            row = [name, duration(statistics.median(ours.values())), baseline,
                   duration(statistics.median(case.times[baseline].values())),
                   f"{statistics.median(ratios):.2f}", f"{low:.2f} .. {high:.2f}"]
            if with_processor:
                row.append(f"{statistics.median(processor):.2f}" if processor else "")
            rows.append(row)
    notes = [f"{name}: {contender} left out, {reason}" for name, case in cases.items()
             for contender, reason in case.unavailable.items()]
    measured = " and ".join(clock_names[clock] for clock in sorted(clocks))
    title = f"{group}: {measured}, {rounds} rounds"
    return [title, *columns(rows), *notes, ""]


def system_call_ns():
    """Nanoseconds of a getppid(2). Where the processor needs page table isolation it takes ten
    times as long, and a loop with fewer system calls gains more."""
    count = 20000
    began = time.thread_time_ns()
    for _ in range(count):
        os.getppid()
    return (time.thread_time_ns() - began) / count


def preamble(arguments):
    load = os.getloadavg()[0]
    lines = [
        f"date     {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
        f"machine  {machine()}",
        f"kernel   {platform.system()} {platform.release()}",
        f"getppid  {duration(system_call_ns())}",
        f"command  bench/run.py {' '.join(arguments)}",
        "ratio    time of the other / time of uaio, median of the rounds: over 1, uaio is better",
    ]
    if load > 0.5:
        lines.append(f"load     {load:.1f}: other programs are running, these figures are rough")
    return lines + [""]


def csv_text(rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows)
    return out.getvalue()


# ---- the command ----

def parse(arguments):
    parser = argparse.ArgumentParser(
        description="Runs the benchmarks, each beside its floor and its peers.")
    parser.add_argument("build", type=Path, help="the release build folder")
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help=f"of: {', '.join(groups_of_tree())}; all if none is named")
    parser.add_argument("--csv", action="store_true", help="one row a comparison: "
                        + ",".join(HEADER))
    parser.add_argument("--quick", action="store_true", help="under a minute a group")
    parser.add_argument("--smoke", action="store_true",
                        help="run each benchmark for a moment and measure nothing")
    parser.add_argument("--rounds", type=int, help="how often each program runs")
    parser.add_argument("--filter", help="only benchmarks whose name matches, as in --filter 64B")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.groups) - set(groups_of_tree())
    if unknown:
        parser.error(f"there is no group {min(unknown)}")
    return chosen


def smoke(program, pattern):
    """Returns the number of benchmarks that ran, and of those left out without a peer."""
    if program.name in SIDE_BY_SIDE:
        cases = SIDE_BY_SIDE[program.name](program.parent.parent)
        results = contest.measure(cases, contest.SMOKE, pattern)
    else:
        only = [f"--benchmark_filter={pattern}"] if pattern else []
        results = run_round(program, "--benchmark_min_time=0.0001", *only)
    skipped = [entry for entry in results["benchmarks"] if entry.get("error_occurred")]
    for entry in skipped:
        print(f"skip {program.name}: {entry['name']}: {entry['error_message']}")
    ran = len(results["benchmarks"]) - len(skipped)
    print(f"ok {program.name}: {ran} benchmarks run", flush=True)
    return ran, len(skipped)


def smoke_instructions(build):
    """Its works are no benchmarks of time, so it is no group."""
    script = ROOT / "bench" / "instructions.py"
    if subprocess.run([sys.executable, str(script), str(build), "--smoke"], check=False).returncode:
        raise Failure("instructions failed")


def measure_group(chosen, group, program):
    """Returns the results of all rounds, and the number of rounds."""
    if group in SIDE_BY_SIDE:
        plan = contest.QUICK if chosen.quick else contest.FULL
        plan = dataclasses.replace(plan, rounds=chosen.rounds or plan.rounds)
        cases = SIDE_BY_SIDE[group](chosen.build.resolve())
        return contest.measure(cases, plan, chosen.filter), f"at most {plan.rounds}"
    budget, rounds = QUICK if chosen.quick else FULL
    if group in SCRIPTS:
        rounds = SCRIPT_ROUNDS[0 if chosen.quick else 1]
    rounds = chosen.rounds or rounds
    return measure(program, budget, rounds, chosen.filter), rounds


def bench(chosen, group, program):
    results, rounds = measure_group(chosen, group, program)
    cases = cases_of(results)
    rows = list(rows_of(group, cases))
    program.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    program.with_suffix(".csv").write_text(csv_text(rows))
    if not chosen.csv:
        print("\n".join(table(group, cases, rounds)), flush=True)
    return rows


def main(arguments):
    chosen = parse(arguments)
    if not (chosen.csv or chosen.smoke):
        print("\n".join(preamble(arguments)), flush=True)
    rows, counts = [], []
    for group in chosen.groups or groups_of_tree():
        program = chosen.build.resolve() / "bench" / group
        built = chosen.build / SCRIPTS.get(group, f"bench/{group}")
        if group not in SIDE_BY_SIDE and not built.exists():
            needs = "run ./dev build" if group in SCRIPTS else "it needs libbenchmark-dev"
            raise Failure(f"{built} is not built; {needs}")
        if chosen.smoke:
            counts.append(smoke(program, chosen.filter))
        else:
            rows += bench(chosen, group, program)
    if chosen.smoke:
        if not chosen.groups:
            smoke_instructions(chosen.build)
        ran, skipped = map(sum, zip(*counts))
        print(f"{ran} passed, 0 failed, {skipped} skipped")
    elif chosen.csv:
        print(csv_text(rows), end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"bench: {failure}")
