#!/usr/bin/env python3
"""The counting of bench/instructions.py: how it splits callgrind's output, and that a work over its
budget fails the check.

    tests/instructions_test.py [BUILD]        the build folder is not needed

Prints a line a case for tests/run.py.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))  # before tests/, which has another run.py
import instructions  # noqa: E402: the line above finds it

# Of one function of engine/loop.cc: 10 instructions of its own, 5 of an inlined header of aio/, 7
# of an inlined system header; it calls memcpy, whose 30 belong to libc.
CALLGRIND = f"""
# callgrind format
version: 1
positions: line
events: Ir
summary: 54

ob=(1) /x/build/bench/instructions
fl=(1) {ROOT}/build/../engine/loop.cc
fn=(1) turn
16 4
fi=(2) {ROOT}/build/../include/uaio/aio.h
+3 5
fi=(3) /usr/include/c++/12/bits/unique_ptr.h
* 7
fe=(1)
-2 6
cob=(2) /usr/lib/x86_64-linux-gnu/libc.so.6
cfi=(4) ./string/memmove.S
cfn=(2) memcpy
calls=2 0
16 30

fl=(3)
fn=(3) std::__introsort
1 2

ob=(2)
fl=(4)
fn=(2)
0 30

totals: 54
"""


def split_of_callgrind():
    found = instructions.split(CALLGRIND.splitlines(keepends=True))
    expected = {"engine": 17, "aio": 5, "libc": 30, "other": 2}
    if found != expected:
        yield f"{found} instead of {expected}"


def check_of(measured, budgets):
    """The failures of the check of a work named `work`, and what it prints."""
    original = instructions.cost
    instructions.cost = lambda *_: {"engine": measured - 1, "libc": 1}
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            work = instructions.Work("work 64 640 6400 no")
            return instructions.check(None, [work], budgets), out.getvalue()
    finally:
        instructions.cost = original


def work_over_its_budget_fails():
    for text, measured, expected in (("compiler gcc 12 x86_64\nwork 1000\n", 1021, ["work"]),
                                     ("compiler gcc 12 x86_64\nwork 1000\n", 1019, []),
                                     ("compiler gcc 12 x86_64\nwork 1000\n", 500, []),
                                     ("compiler gcc 12 x86_64\nother 1000\n", 1000, ["work"])):
        failures, out = check_of(measured, instructions.Budgets(text))
        if failures != expected:
            yield f"{measured} of {text!r}: {failures}"
        if out.startswith("not ok") != bool(expected):
            yield f"{measured} of {text!r} prints {out}"


def budgets_are_written_as_read():
    text = "# a comment\ncompiler gcc 12 x86_64\nwork 1000\n"
    if instructions.Budgets(text).text() != text:
        yield instructions.Budgets(text).text()


def works():
    source = (ROOT / "bench/instructions/main.cc").read_text()
    return list(dict.fromkeys(re.findall(r'^    \{"(\w+)", ', source, re.MULTILINE)))


def every_work_has_a_budget():
    budgets = instructions.Budgets(instructions.BUDGETS.read_text()).of_works
    if set(works()) != set(budgets) or not budgets:
        yield f"works without: {set(works()) - set(budgets)}, budgets: {set(budgets)}"


def works_that_ci_checks_exist():
    yield from (f"there is no work {name}" for name in set(instructions.QUICK) - set(works()))


def main():
    passed = True
    for rule in (split_of_callgrind, work_over_its_budget_fails, budgets_are_written_as_read,
                 every_work_has_a_budget, works_that_ci_checks_exist):
        problems = list(rule())
        for problem in problems:
            print(f"  {problem}")
        name = "instructions, " + rule.__name__.replace("_", " ")
        print(f"not ok {name}" if problems else f"ok {name}")
        passed &= not problems
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
