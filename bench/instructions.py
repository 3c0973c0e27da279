#!/usr/bin/env python3
"""Counts the user instructions of an operation with callgrind, beside those of a floor.

    bench/instructions.py BUILD [WORK]... [--quick] [--check | --record | --csv] [--runs N]
    bench/instructions.py BUILD --smoke

A work is a run of BUILD/bench/instructions, in one thread; its peer is another process, which
valgrind does not trace. Each work runs twice with different numbers of operations, so that start-up
and warm-up cancel out: the difference of the instructions, divided by that of the operations, is
the cost of one. The floor makes the same transfers with raw liburing, or with OpenSSL or a system
call alone, and nothing else.

The table splits the cost by folder, for which BUILD needs debug information. Code of a header of
the tree counts with its folder wherever it is inlined, that of a system header with the function
around it. bench/instructions.txt has the budget of each work and the compiler that it is for:
--check fails if a work exceeds its budget.
"""

import argparse
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import run

ROOT = run.ROOT
sys.path.append(str(ROOT / "tests"))
from structure_test import LIBRARY, owner_of  # noqa: E402: the line above finds it

BUDGETS = ROOT / "bench" / "instructions.txt"
TOLERANCE = 0.02
CHECK_RUNS = 3
RECORD_RUNS = 3
CANNOT_RUN = 77
SECONDS_MAX = 300

# For CI: half a minute. Without TLS, since OpenSSL chooses its code by the processor.
QUICK = ["engine_nop", "timers", "echo_callbacks", "echo_coroutines", "write_all_8",
         "write_all_queued", "http_fixed", "http_pipelined", "connect_http_close", "http_client"]

OPENSSL, LIBC, OTHER = "OpenSSL", "libc", "other"
OBJECTS = [(r"lib(ssl|crypto)\.so", OPENSSL), (r"(libc|libm|ld-linux[-\w]*)\.so", LIBC)]
COLUMNS = [*reversed(LIBRARY), "bench", OPENSSL, LIBC, OTHER]


class Skip(Exception):
    """A work that cannot run here, with the reason."""


# ---- callgrind's output ----

def folder_of(path):
    """The row of the architecture's picture that a source file belongs to, or None."""
    absolute = os.path.normpath(path)
    if not absolute.startswith(f"{ROOT}/"):
        return None
    owner = owner_of(absolute[len(f"{ROOT}/"):])
    # The kernels count as one.
    return "engine/kernel" if owner and owner.startswith("engine/kernel/") else owner


def group_of(program, binary, function_file, file):
    for pattern, group in OBJECTS:
        if re.search(pattern, binary):
            return group
    if Path(binary).name != program:
        return OTHER
    return folder_of(file) or folder_of(function_file) or OTHER


def split(lines, program="instructions"):
    """{group: instructions} of callgrind's output (its manual, Callgrind Format Specification)."""
    names = {}  # (kind, number): name; the first use of a number defines it
    place = {"ob": "", "fl": "", "file": ""}
    costs = {}
    after_calls = False

    def name(kind, text):
        match = re.fullmatch(r"\((\d+)\)(?: (.*))?", text)
        if match is None:
            return text
        if match[2] is not None:
            names[kind, match[1]] = match[2]
        return names[kind, match[1]]

    for line in lines:
        key, equals, value = line.rstrip("\n").partition("=")
        if not equals:
            fields = key.split()
            if not re.match(r"[+\-*\d]", key) or len(fields) < 2:
                continue
            if after_calls:  # the cost of the call, which counts where it arises
                after_calls = False
                continue
            at = (place["ob"], place["fl"], place["file"])
            costs[at] = costs.get(at, 0) + int(fields[1])
        elif key in ("ob", "cob"):
            named = name("ob", value)
            place["ob"] = named if key == "ob" else place["ob"]
        elif key in ("fl", "fi", "fe", "cfl", "cfi"):
            named = name("fl", value)
            if key == "fl":
                place["fl"] = named
            if not key.startswith("c"):
                place["file"] = named
        elif key == "calls":
            after_calls = True
    groups = {}
    for (binary, function_file, file), cost in costs.items():
        group = group_of(program, binary, function_file, file)
        groups[group] = groups.get(group, 0) + cost
    return groups


# ---- measuring ----

class Work:
    """A line of `instructions --list`."""

    def __init__(self, line):
        name, batch, shorter, longer, floor = line.split()
        self.name = name
        self.batch, self.shorter, self.longer = int(batch), int(shorter), int(longer)
        self.has_floor = floor == "yes"


def works_of(program):
    done = subprocess.run([str(program), "--list"], capture_output=True, text=True, check=True)
    return [Work(line) for line in done.stdout.splitlines()]


def compiler_of(program):
    done = subprocess.run([str(program), "--compiler"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def execute(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired as late:
        raise run.Failure(f"{' '.join(command)} ran for more than {SECONDS_MAX} s") from late
    if done.returncode == CANNOT_RUN:
        raise Skip(done.stdout.strip())
    if done.returncode != 0:
        raise run.Failure(f"{' '.join(command)} ended with {done.returncode}:\n"
                          f"{done.stderr[-2000:]}")


def count(program, work, operations, arguments):
    """{group: instructions} of a whole run."""
    with tempfile.NamedTemporaryFile(suffix=".callgrind") as out:
        execute(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out.name}",
                 str(program), work.name, str(operations), *arguments])
        with open(out.name, encoding="utf-8", errors="replace") as lines:
            return split(lines, program.name)


def cost(program, work, *arguments):
    """{group: instructions of an operation}; the arguments are the program's, after the count."""
    shorter = count(program, work, work.shorter, arguments)
    longer = count(program, work, work.longer, arguments)
    operations = work.longer - work.shorter
    return {group: (longer.get(group, 0) - shorter.get(group, 0)) / operations
            for group in longer.keys() | shorter.keys()}


class Result:
    """The runs of one work."""

    def __init__(self, program, work, runs, with_floor=True):
        self.name = work.name
        self.runs = [cost(program, work) for _ in range(runs)]
        self.floor = None
        if with_floor and work.has_floor:
            self.floor = sum(cost(program, work, "floor").values())

    @property
    def totals(self):
        return [sum(groups.values()) for groups in self.runs]

    @property
    def uaio(self):
        return statistics.median(self.totals)

    @property
    def spread(self):
        """The difference of the highest and the lowest run, in percent."""
        return (max(self.totals) - min(self.totals)) / self.uaio * 100

    def group(self, name):
        return statistics.median(groups.get(name, 0) for groups in self.runs)


# ---- budgets ----

class Budgets:
    """The file of the budgets: comments, the compiler, and a line a work."""

    def __init__(self, text):
        lines = text.splitlines()
        self.comments = [line for line in lines if line.startswith("#")]
        fields = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
        self.compiler = next((value for name, value in fields if name == "compiler"), None)
        self.of_works = {name: int(value) for name, value in fields if name != "compiler"}

    def text(self):
        lines = [*self.comments, f"compiler {self.compiler}",
                 *(f"{name} {budget}" for name, budget in self.of_works.items())]
        return "\n".join(lines) + "\n"

    def verdict(self, name, measured):
        """Why a work fails the check; None if it does not."""
        budget = self.of_works.get(name)
        if budget is None:
            return f"{name}: {measured:.0f}, and no budget"
        if measured > budget * (1 + TOLERANCE):
            more = (measured / budget - 1) * 100
            return f"{name}: {measured:.0f} of {budget}, {more:.1f} % more"
        return None


def check(program, works, budgets):
    """Returns the works that exceed their budgets, each measured again: a busy machine can only
    add turns of the engine."""
    failures = []
    for work in works:
        lowest, failure = float("inf"), None
        for _ in range(CHECK_RUNS):
            lowest = min(lowest, sum(cost(program, work).values()))
            failure = budgets.verdict(work.name, lowest)
            if failure is None:
                break
        if failure is None:
            print(f"ok {work.name}: {lowest:.0f} of {budgets.of_works[work.name]}", flush=True)
        else:
            print(f"not ok {failure}", flush=True)
            failures.append(work.name)
    return failures


def check_all(program, works, skipped):
    budgets = Budgets(BUDGETS.read_text())
    if compiler_of(program) != budgets.compiler:
        print(f"skip budgets: they are those of {budgets.compiler}, this is {compiler_of(program)}")
        print(f"0 passed, 0 failed, {len(works) + skipped} skipped")
        return
    failures = check(program, works, budgets)
    names = " ".join(failures)
    if failures:
        print(f"  ./dev bench instructions {names}: shows the folders that cost more\n"
              f"  ./dev bench instructions --record {names}: records these counts as budgets")
    print(f"{len(works) - len(failures)} passed, {len(failures)} failed, {skipped} skipped")
    if failures:
        raise run.Failure(f"over the budget: {names}")


def record(program, works):
    budgets = Budgets(BUDGETS.read_text())
    compiler = compiler_of(program)
    if compiler != budgets.compiler and {work.name for work in works} < set(budgets.of_works):
        raise run.Failure(f"the other budgets are those of {budgets.compiler}: record all works")
    budgets.compiler = compiler
    for work in works:
        budgets.of_works[work.name] = round(Result(program, work, RECORD_RUNS, False).uaio)
        print(f"{work.name} {budgets.of_works[work.name]}", flush=True)
    BUDGETS.write_text(budgets.text())


# ---- reporting ----

def number(value):
    return "-" if value is None else f"{round(value)}"


def heading(group):
    return group.removeprefix("transport/")


def table(results, runs):
    groups = [group for group in COLUMNS
              if any(abs(result.group(group)) >= 0.5 for result in results)]
    head = ["work", "uaio", "floor", *(["spread"] if runs > 1 else []),
            *(heading(group) for group in groups)]
    rows = [head]
    for result in results:
        rows.append([result.name, number(result.uaio), number(result.floor),
                     *([f"{result.spread:.2f} %"] if runs > 1 else []),
                     *(number(result.group(group)) for group in groups)])
    return run.columns(rows)


def preamble(arguments):
    lines = [line for line in run.preamble(arguments) if not line.startswith("ratio")]
    for index, line in enumerate(lines):
        if line.startswith("command"):
            lines[index] = f"command  ./dev bench instructions {' '.join(arguments)}".rstrip()
    return lines


# ---- the command ----

def smoke(program, works):
    """Runs each work and each floor once, with one batch and without valgrind."""
    for work in works:
        for floor in (False, True) if work.has_floor else (False,):
            execute([str(program), work.name, str(work.batch), *(["floor"] if floor else [])])


def parse(arguments):
    parser = argparse.ArgumentParser(description="Counts instructions an operation.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("works", nargs="*", metavar="WORK", help="all if none is named")
    parser.add_argument("--csv", action="store_true", help="one row a work: work,uaio,floor")
    parser.add_argument("--runs", type=int, default=1, metavar="N",
                        help="measure each work N times: the medians, and the spread")
    parser.add_argument("--quick", action="store_true", help=f"of: {', '.join(QUICK)}")
    parser.add_argument("--check", action="store_true",
                        help=f"fail if a work exceeds its budget by more than {TOLERANCE:.0%}%")
    parser.add_argument("--record", action="store_true", help="record the counts as budgets")
    parser.add_argument("--smoke", action="store_true",
                        help="run each work for a moment, without valgrind")
    return parser.parse_intermixed_args(arguments)


def chosen_works(chosen, program):
    works = works_of(program)
    unknown = set(chosen.works) - {work.name for work in works}
    if unknown:
        raise run.Failure(f"there is no work {min(unknown)}")
    wanted = chosen.works or (QUICK if chosen.quick else [work.name for work in works])
    return [work for work in works if work.name in wanted]


def runnable(program, works):
    """The works that can run here; prints a line for each of the others."""
    for work in works:
        try:
            smoke(program, [work])
            yield work
        except Skip as reason:
            print(f"skip {work.name}: {reason}", flush=True)


def report(chosen, arguments, program, works):
    results = [Result(program, work, chosen.runs) for work in works]
    if not chosen.csv:
        print("\n".join([*preamble(arguments), *table(results, chosen.runs)]))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["work", "uaio", "floor"])
    writer.writerows([result.name, number(result.uaio), number(result.floor)]
                     for result in results)


def main(arguments):
    chosen = parse(arguments)
    program = chosen.build / "bench" / "instructions"
    if not program.exists():
        raise run.Failure(f"{program} is not built")
    wanted = chosen_works(chosen, program)
    works = list(runnable(program, wanted))
    if chosen.smoke:
        print(f"ok instructions: {len(works)} works run", flush=True)
        return
    if not shutil.which("valgrind"):
        raise run.Failure("valgrind is not installed")
    if chosen.check:
        check_all(program, works, len(wanted) - len(works))
    elif chosen.record:
        record(program, works)
    else:
        report(chosen, arguments[1:], program, works)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except run.Failure as failure:
        sys.exit(f"instructions: {failure}")
