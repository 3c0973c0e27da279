"""Runs the contenders of a case side by side: all stay up, and each round samples each of them for
a moment, in an order that rotates. The results have Google Benchmark's format, as those of the
other groups."""

import contextlib
import dataclasses
import os
import re
import time
from typing import Callable

from .processes import Failure, Unavailable, processors


@dataclasses.dataclass
class Case:
    """A row of a table. A contender is a function that starts it: it enters its processes into an
    ExitStack and returns a sampler, which runs the contender for a number of milliseconds and
    returns a list of Figures."""
    name: str
    contenders: dict[str, Callable]
    is_long: bool = False  # left out of a smoke run


@dataclasses.dataclass
class Figure:
    """Nanoseconds of one kind; with several kinds, `kind` is the last part of the case's name."""
    nanoseconds: float
    kind: str = ""
    clock: str = "cpu_time"


@dataclasses.dataclass
class Plan:
    rounds: int
    milliseconds: int  # for a sample, at least
    warm_up: int       # milliseconds
    seconds: int       # for a case: it then has fewer rounds, but ROUNDS_MIN


ROUNDS_MIN = 5
SMOKE = Plan(rounds=1, milliseconds=5, warm_up=0, seconds=10)
QUICK = Plan(rounds=9, milliseconds=100, warm_up=100, seconds=10)
FULL = Plan(rounds=21, milliseconds=250, warm_up=500, seconds=60)


def matching(cases, pattern):
    """The cases and contenders whose name, CASE/CONTENDER, matches; uaio stays beside any other."""
    wanted = re.compile(pattern or "")
    for case in cases:
        names = [name for name in case.contenders if wanted.search(f"{case.name}/{name}")]
        if names:
            yield dataclasses.replace(case, contenders={
                name: start for name, start in case.contenders.items()
                if name in names or name == "uaio"})


def measure(cases, plan, pattern=None):
    """Returns the results of all rounds."""
    results = {"context": {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                           "num_cpus": os.cpu_count()}, "benchmarks": []}
    for case in matching(cases, pattern):
        if not (plan is SMOKE and case.is_long):
            results["benchmarks"] += measure_case(case, plan)
    if not results["benchmarks"]:
        raise Failure(f"no case matches {pattern}")
    return results


def measure_case(case, plan):
    entries = []
    with contextlib.ExitStack() as stack:
        samplers = {}
        for name, start in case.contenders.items():
            try:
                samplers[name] = start(stack)
            except Unavailable as reason:
                entries.append({"name": f"{case.name}/{name}", "run_type": "iteration",
                                "error_occurred": True,
                                "error_message": f"unavailable: {reason}"})
        if plan.warm_up:
            for sample in samplers.values():
                sample(plan.warm_up)
        names = list(samplers)
        limit = time.monotonic() + plan.seconds
        for number in range(plan.rounds):
            if number >= ROUNDS_MIN and time.monotonic() > limit:
                break
            first = number % max(len(names), 1)
            for name in names[first:] + names[:first]:
                entries += [entry(case, name, figure, number)
                            for figure in samplers[name](plan.milliseconds)]
    return entries


def entry(case, contender, figure, number):
    parts = [case.name, figure.kind, contender]
    if figure.clock == "real_time":
        parts.append("real_time")
    return {"name": "/".join(part for part in parts if part), "run_type": "iteration",
            "repetition_index": number, "time_unit": "ns", "threads": 1,
            figure.clock: figure.nanoseconds}


def per_operation(measured, command, operations=lambda answer: answer[0]):
    """A sampler: the CPU time of `measured` for each operation that `command`, which takes
    milliseconds, counts."""
    def sample(milliseconds):
        before = measured.cpu_ns()
        answer = command(milliseconds)
        used = measured.cpu_ns() - before
        if operations(answer) == 0:
            raise Failure(f"{measured.name} did nothing")
        return [Figure(used / operations(answer))]
    return sample


__all__ = ["FULL", "QUICK", "SMOKE", "Case", "Figure", "Plan", "measure", "per_operation",
           "processors"]
