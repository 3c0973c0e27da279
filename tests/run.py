#!/usr/bin/env python3
"""Runs the tests in a build folder and counts every case.

    tests/run.py BUILD [--only PATTERN]... [--skip PATTERN]... [--list] [--jobs N] [--slower N]
                       [--wrapper COMMAND]

Runs three kinds of programs:
  doctest programs  BUILD/tests/unit_tests and those of tests/programs/*_test.cc that include
                    doctest. One process for each source file, so that a crash or a hang costs
                    one case, which is named, and not the rest.
  other programs    the remaining tests/programs/*_test.cc and BUILD/tests/differential*
  scripts           tests/*_test.py, called with the build folder as their argument
The last two print a line for each case: `ok NAME`, `not ok NAME: why` or `skip NAME: why`. A
doctest case that cannot run prints `SKIP NAME: why`.

PATTERN is a part of a case's or program's name, or a shell pattern for all of it. With CI=true in
the environment a skip is a failure too, unless its reason names the kernel, a sanitizer, valgrind
or a build option: in CI a missing peer is a gap in the tests. The last line is
`N passed, N failed, N skipped`; the exit status is 1 if anything failed.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS_PER_DOCTEST_FILE = 120
SECONDS_PER_PROGRAM = 300
CASE_LINE = re.compile(r"^(?:(ok) (.+)|(not ok|skip) (.+?)(?:: (.*))?)$")
SKIP_LINE = re.compile(r"^SKIP (.+?): (.*)$")
ABSENT = "is not installed, or comparisons are off"
EXCUSED_IN_CI = ("kernel", "sanitizer", "valgrind", "build option")


class Case:
    """How one case ended: outcome is ok, not ok or skip."""

    def __init__(self, program, name, outcome, why="", output=""):
        self.program, self.name, self.outcome, self.why, self.output = (
            program, name, outcome, why, output)


def matches(pattern, *names):
    pattern = pattern.lower()
    return any(pattern in name.lower() or fnmatch.fnmatchcase(name.lower(), pattern)
               for name in names)


class Selection:
    def __init__(self, only, skip):
        self.only, self.skip = only, skip

    def wants(self, *names):
        if any(matches(pattern, *names) for pattern in self.skip):
            return False
        return not self.only or any(matches(pattern, *names) for pattern in self.only)


class Runner:
    def __init__(self, build, slower, wrapper):
        self.build, self.slower, self.wrapper = build, slower, wrapper

    def run(self, command, seconds, environment=None, wrap=True):
        """Returns (output, why it failed or ""). The whole process group ends with the program."""
        if wrap:
            command = self.wrapper + command
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})}, start_new_session=True)
            why = ""
            try:
                status = process.wait(timeout=seconds * self.slower)
                if status < 0:
                    why = f"died of {signal.Signals(-status).name}"
                elif status > 0:
                    why = f"exit status {status}"
            except subprocess.TimeoutExpired:
                why = f"still running after {seconds * self.slower:.0f} s"
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            output.seek(0)
            return output.read().decode(errors="replace"), why


class DoctestFile:
    """The cases of one source file in one doctest program."""

    def __init__(self, program, source, cases, whole):
        self.program, self.source, self.cases, self.whole = program, source, cases, whole
        self.label = source
        self.names = cases

    def run(self, runner):
        results, left = [], list(self.cases)
        while left:
            ended, last_run, output, why = self.run_once(runner, left)
            for name in left:
                if name in ended:
                    results.append(ended[name])
            unfinished = [name for name in left if name not in ended]
            if last_run in unfinished:
                results.append(Case(self.label, last_run, "not ok", why or "did not end", output))
                unfinished.remove(last_run)
            elif len(unfinished) == len(left):
                results += [Case(self.label, name, "not ok", why or "did not run", output)
                            for name in unfinished]
                break
            elif why and not unfinished and all(case.outcome != "not ok"
                                                for case in ended.values()):
                # Every case passed and the process still failed: most likely a leak report.
                results.append(Case(self.label, f"{self.label} ends well", "not ok", why, output))
            left = unfinished
        return results

    def run_once(self, runner, cases):
        command = [str(self.program), "--no-version=true", f"--source-file=*{self.source}"]
        if not self.whole or len(cases) < len(self.cases):
            command.append("--test-case=" + ",".join(exact_filter(name) for name in cases))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "results")
            output, why = runner.run(command, SECONDS_PER_DOCTEST_FILE,
                                     {"UAIO_TEST_RESULTS": str(path)})
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        skips = dict(match.groups() for match in map(SKIP_LINE.match, output.splitlines()) if match)
        ended, last_run = {}, None
        for line in lines:
            outcome, name, detail = (line.split("\t") + ["", ""])[:3]
            if outcome == "run":
                last_run = name
            elif outcome == "not ok":
                ended[name] = Case(self.label, name, outcome, "", doctest_report(output, name))
            elif outcome == "skip" or name in skips:
                ended[name] = Case(self.label, name, "skip", skips.get(name, detail))
            else:
                ended[name] = Case(self.label, name, "ok")
        return ended, last_run, output, why


def exact_filter(name):
    """doctest splits its filters at commas and supports * and ?; ? matches any one character."""
    return re.sub(r"""[,*"\\]""", "?", name)


def doctest_report(output, name):
    """The output of doctest for one case: its blocks lie between lines of =."""
    blocks = re.split(r"^={20,}$", output, flags=re.MULTILINE)
    wanted = [block.strip("\n") for block in blocks if f"TEST CASE:  {name}" in block]
    return "\n".join(wanted) or output


class LineProgram:
    """A program or script that prints a line for each case."""

    def __init__(self, label, command, wrap):
        self.label, self.command, self.wrap = label, command, wrap
        self.names = [label]
        self.selection = None

    def run(self, runner):
        output, why = runner.run(self.command, SECONDS_PER_PROGRAM, wrap=self.wrap)
        results, pending = [], []
        for line in output.splitlines():
            match = CASE_LINE.match(line)
            if not match:
                pending.append(line)
                continue
            outcome, name = match[1] or match[3], match[2] or match[4]
            detail = match[5]
            results.append(Case(self.label, name, outcome, detail or "",
                                "\n".join(pending) if outcome == "not ok" else ""))
            pending = []
        failed = any(case.outcome == "not ok" for case in results)
        if (why and not failed) or not results:
            results.append(Case(self.label, f"{self.label} ends well", "not ok",
                                why or "reported no case", output))
        return results


def doctest_files(program, selection, runner):
    output, why = runner.run([str(program), "--list-test-cases", "--reporters=xml",
                              "--no-skip=true"], 60, wrap=False)
    if why:
        return [BrokenProgram(program.name, f"cannot list its cases: {why}", output)]
    document = ElementTree.fromstring(output[output.index("<?xml"):])
    by_source = {}
    for case in document.iter("TestCase"):
        source = re.sub(r"^(\.\./)*", "", case.get("filename"))
        source = re.sub(r"^.*?/tests/", "tests/", source)
        by_source.setdefault(source, []).append(case.get("name"))
    files = []
    for source, names in by_source.items():
        wanted = [name for name in names if selection.wants(name, source, program.name)]
        if wanted:
            files.append(DoctestFile(program, source, wanted, len(wanted) == len(names)))
    return files


class BrokenProgram:
    def __init__(self, label, why, output):
        self.label, self.names = label, [label]
        self.case = Case(label, label, "not ok", why, output)

    def run(self, _):
        return [self.case]


class AbsentProgram:
    def __init__(self, label, why):
        self.label, self.names = label, [label]
        self.case = Case(label, label, "skip", why)

    def run(self, _):
        return [self.case]


def collect(build, selection, runner):
    """The work in starting order: the long programs first, so that they do not end last."""
    work = []
    for script in sorted((ROOT / "tests").glob("*_test.py")):
        if selection.wants(script.name):
            command = [sys.executable, str(script), str(build)]
            work.append(LineProgram(script.name, command, False))
    if list((ROOT / "tests/differential").glob("*.cc")) and selection.wants("differential"):
        program = build / "tests/differential"
        work.append(LineProgram("differential", [str(program)], True) if program.exists()
                    else AbsentProgram("differential", f"libnng {ABSENT}"))
    if selection.wants("differential_curl"):
        program = build / "tests/differential_curl_rows"
        work.append(LineProgram("differential_curl", [str(program)], True) if program.exists()
                    else AbsentProgram("differential_curl", f"libcurl {ABSENT}"))
    unit_programs = [build / "tests/unit_tests"]
    for source in sorted((ROOT / "tests/programs").glob("*_test.cc")):
        program = build / "tests" / source.stem
        if "<doctest/doctest.h>" in source.read_text():
            unit_programs.append(program)
        elif selection.wants(source.stem):
            work.append(LineProgram(source.stem, [str(program)], True) if program.exists()
                        else BrokenProgram(source.stem, "not built", ""))
    for program in unit_programs:
        work += (doctest_files(program, selection, runner) if program.exists()
                 else [BrokenProgram(program.name, "not built", "")])
    return work


def excused(why):
    return any(word in why.lower() for word in EXCUSED_IN_CI)


def report(results, seconds, build):
    in_ci = os.environ.get("CI") == "true"
    count = {"ok": 0, "not ok": 0, "skip": 0}
    skipped, failed = [], []
    for case in results:
        if case.outcome == "skip" and in_ci and not excused(case.why):
            case.outcome, case.why = "not ok", f"skipped, which CI does not accept: {case.why}"
        count[case.outcome] += 1
        if case.outcome == "skip":
            skipped.append(case)
        elif case.outcome == "not ok":
            failed.append(case)
    for case in failed:
        print(f"\n---- {case.program}: {case.name}")
        if case.output:
            print(case.output.rstrip()[-20000:])
    if skipped:
        print("\nskipped:")
        for case in skipped:
            print(f"  {case.name}: {case.why}")
    if failed:
        print("\nfailed:")
        for case in failed:
            print(f"  {case.program}: {case.name}{': ' + case.why if case.why else ''}")
    summary = f"{count['ok']} passed, {count['not ok']} failed, {count['skip']} skipped"
    Path(build, "test-results.json").write_text(json.dumps({
        "passed": count["ok"], "failed": count["not ok"], "skipped": count["skip"],
        "seconds": round(seconds, 1), "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "cases": [{"program": case.program, "name": case.name, "outcome": case.outcome,
                   "why": case.why} for case in results]}, indent=1))
    print(f"\n{len(results)} cases in {seconds:.0f} s")
    print(summary)
    return 1 if failed or not results else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--skip", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--list", action="store_true", help="name the cases and run nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--slower", type=float, default=1, help="stretch the time limits")
    parser.add_argument("--wrapper", default="", help="a command to run compiled programs under")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    runner = Runner(build, arguments.slower, shlex.split(arguments.wrapper))
    work = collect(build, Selection(arguments.only, arguments.skip), runner)
    if arguments.list:
        for item in work:
            for name in item.names:
                print(name if name == item.label else f"{item.label}: {name}")
        return 0

    started = time.monotonic()
    results, printing = [], threading.Lock()

    def run_one(item):
        began = time.monotonic()
        cases = item.run(runner)
        bad = sum(case.outcome == "not ok" for case in cases)
        with printing:
            print(f"{'FAIL' if bad else 'ok  '} {item.label}: {len(cases)} cases, "
                  f"{time.monotonic() - began:.1f} s", flush=True)
        return cases

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for cases in pool.map(run_one, work):
            results += cases
    return report(results, time.monotonic() - started, build)


if __name__ == "__main__":
    sys.exit(main())
