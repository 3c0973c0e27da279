#!/usr/bin/env python3
"""Measures the effect of the build options: builds the library once for each setting, counts the
instructions of an operation, and prints the first table of docs/tuning.md. With --times it runs the
builds side by side instead, and prints the second table.

    bench/tuning.py [--times] [--rounds N] [OPTION]...

The builds are in build-tuning/; the build with all defaults is the baseline. A ratio is the
baseline's CPU time divided by that of the other build, so over 1 the setting is faster: the median
of the rounds, with the quartiles.
"""

import argparse
import dataclasses
import re
import statistics
import sys

import instructions
import pgo
import run
from paired import contest, pingpong, web_servers
from paired.load import Load
from paired.processes import Child, Unavailable, processors, require

BUILDS = pgo.ROOT / "build-tuning"
COMMON = ("-Ddefault_library=static", "-Dtools=false", "-Dpeers=disabled")
COUNTED = "bench/instructions"
LOAD = "bench/load"
WORKS = ("engine_nop", "echo_callbacks", "write_all_8", "write_all_64", "write_all_queued",
         "http_fixed", "http_client")
CONNECTIONS = 64


@dataclasses.dataclass
class Row:
    """Options with their values, and the cases to time: "echo", "http", or GROUP/CASE."""
    setting: str
    cases: tuple = ()
    ring: tuple = ()  # EngineOptions::entries and completions, in place of options of meson

    @property
    def name(self):
        return self.setting or "default"

    @property
    def options(self):
        return [] if self.ring else [f"-D{word}" for word in self.setting.split()]

    @property
    def folder(self):
        return BUILDS / ("default" if self.ring else re.sub(r"\W+", "-", self.name))


def ring(entries, completions):
    return Row(f"entries={entries} completions={completions}", ("echo",), (entries, completions))


DEFAULT = Row("")
SERVERS = ("echo", "http")
PLAN = [
    Row("inline_iov=1", ("write_all/64B/depth1",)),
    Row("inline_iov=64", ("write_all/64B/depth1",)),
    Row("gather_bytes=0", ("write_all/64B/depth16", "write_all/4KiB/depth16")),
    Row("gather_bytes=1048576 gather_entries=1024",
        ("write_all/64B/depth16", "write_all/4KiB/depth16")),
    Row("zero_copy_bytes=8192", tuple(
        f"zero_copy/tcp/{size}/cold/automatic" for size in ("16KiB", "32KiB"))),
    ring(16, 32),
    ring(4096, 8192),
    Row("b_ndebug=false", SERVERS),
    Row("optimization=2", SERVERS),
    Row("cpp_args=-march=x86-64-v3", SERVERS),
    Row("unity=on", SERVERS),
    Row("b_lto=true", SERVERS),
    Row("b_pgo=use", SERVERS),
]


# ---- building ----

def target(case):
    return {"echo": "bench/echo_uaio", "http": "bench/server_uaio"}.get(
        case, f"bench/{case.partition('/')[0]}")


def targets(row):
    rows = [row] if row.options else PLAN  # the default build is the baseline of all cases
    own = {target(case) for each in rows for case in each.cases}
    return sorted({COUNTED, *own, *([] if row.options else [LOAD])})


def build(row):
    print(f"builds {row.name}", file=sys.stderr, flush=True)
    options = [option for option in row.options if option != "-Db_pgo=use"]
    if options != row.options:
        pgo.build(row.folder, *COMMON, *options, targets=targets(row))
    else:
        pgo.set_up(row.folder, *COMMON, *options)
        pgo.compile_targets(row.folder, *targets(row))


# ---- counting ----

def counts(row):
    """{work: instructions of an operation}; a work that cannot run here is left out."""
    counted = {}
    program = row.folder / COUNTED
    for work in instructions.works_of(program):
        if work.name in WORKS:
            try:
                cost = instructions.cost(program, work, *map(str, row.ring))
                counted[work.name] = sum(cost.values())
            except instructions.Skip as reason:
                print(f"skip {work.name}: {reason}", file=sys.stderr)
    return counted


def cell(counted, base):
    """With the change, if it is more than the counts vary."""
    change = counted / base - 1
    return f"{counted:.0f}" + (f" ({change:+.1%})" if abs(change) >= 0.005 else "")


def count_lines(rows):
    built = set()
    base = {}
    for row in [DEFAULT, *rows]:
        if row.folder not in built:
            build(row)
            built.add(row.folder)
        counted = counts(row)
        base = base or counted
        cells = [cell(counted[work], base[work]) if work in counted else "" for work in WORKS]
        yield f"| {' | '.join([row.name, *cells])} |"


# ---- timing ----

def served(row, case):
    """A contender: a server and its load, as in the groups pingpong and http."""
    def start(stack):
        program = require(row.folder / target(case))
        if case == "echo":
            command, request, size = [program, pingpong.BUFFER_MIN, *row.ring], bytes(64), 64
        else:
            command, request = [program], web_servers.request("/fixed")
        server = stack.enter_context(Child(command, processors()[0]))
        port = int(server.read_line())
        if case == "http":
            size = web_servers.exchange(port, request, web_servers.CONTENT)
        load = Load(stack, DEFAULT.folder, port, CONNECTIONS, request, size)
        return contest.per_operation(server, load.closed)
    return start


def program(row, case):
    """A contender: a case of one of the programs of bench/, and the CPU time of its writer."""
    group, _, name = case.partition("/")

    def sample(milliseconds):
        results = run.run_round(row.folder / "bench" / group,
                                f"--benchmark_min_time={milliseconds / 1000}",
                                f"--benchmark_filter=^{name}/{run.OURS}(/|$)")
        entry, = results["benchmarks"]
        if entry.get("error_occurred"):
            raise Unavailable(entry["error_message"])
        return [contest.Figure(entry.get("side_cpu_ns") or entry["cpu_time"])]
    return lambda _: sample


def time_lines(rows, plan):
    for case in dict.fromkeys(case for row in rows for case in row.cases):
        kind = served if case in SERVERS else program
        contenders = {row.name: kind(row, case)
                      for row in [DEFAULT, *rows] if row is DEFAULT or case in row.cases}
        times = {name: [] for name in contenders}
        try:
            for entry in contest.measure_case(contest.Case(case, contenders), plan):
                times[entry["name"].removeprefix(f"{case}/")].append(entry["cpu_time"])
        except Unavailable as reason:
            print(f"skip {case}: {reason}", file=sys.stderr)
            continue
        base = times.pop(DEFAULT.name)
        for name, others in times.items():
            ratios = [old / new for old, new in zip(base, others)]
            low, high = run.quartiles(ratios)
            yield (f"| {name} | {case} | {run.duration(statistics.median(base))} | "
                   f"{run.duration(statistics.median(others))} | {statistics.median(ratios):.2f} | "
                   f"{low:.2f} .. {high:.2f} |")


# ---- the command ----

def parse(arguments):
    parser = argparse.ArgumentParser(description="Measures what the build options are worth.")
    parser.add_argument("options", nargs="*", metavar="OPTION",
                        help="of: " + ", ".join(dict.fromkeys(
                            re.sub("=.*", "", row.setting) for row in PLAN)) + "; all if none")
    parser.add_argument("--times", action="store_true",
                        help="run the builds of the last run side by side")
    parser.add_argument("--rounds", type=int, default=15, help="how often each build runs (15)")
    return parser.parse_args(arguments)


def main(arguments):
    chosen = parse(arguments)
    rows = [row for row in PLAN
            if not chosen.options or any(word.startswith(tuple(chosen.options))
                                         for word in row.setting.split())]
    if not rows:
        raise run.Failure(f"no build has {' '.join(chosen.options)}")
    head = ["setting", *WORKS]
    if chosen.times:
        missing = [row.name for row in [DEFAULT, *rows] if not (row.folder / COUNTED).exists()]
        if missing:
            raise run.Failure(f"{missing[0]} is not built: run this without --times first")
        head = ["setting", "case", "default", "time", "ratio", "quartiles"]
    lines = run.preamble([])[:4]
    lines.append(f"command  ./dev bench tuning {' '.join(arguments)}".rstrip())
    print("\n".join(["```", *lines, "```", "", f"| {' | '.join(head)} |",
                     "|---" * len(head) + "|"]), flush=True)
    plan = dataclasses.replace(contest.QUICK, rounds=chosen.rounds, seconds=30)
    for line in time_lines(rows, plan) if chosen.times else count_lines(rows):
        print(line, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except run.Failure as failure:
        sys.exit(f"tuning: {failure}")
