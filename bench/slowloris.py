#!/usr/bin/env python3
"""What one client notices of 10,000 others that never finish a request, as bench/run.py calls a
program of Google Benchmark's.

    bench/slowloris.py BUILD [--benchmark_list_tests=true] [--benchmark_filter=REGEX]
                             [--benchmark_out=FILE] [--benchmark_min_time=S] [--reverse]

A server alone has the first processor. On the last one wrk asks it for a small file, one request at
a time, while tests/support/slow_heads.py holds its connections open with a byte a second each, and
makes new ones for those that the server closes. They begin spread over the time that the server
gives a head, and so end and begin anew at an even pace. The real time of p50 and p99 is that
percentile of wrk's requests, `closed` the longest time from the first byte of a slow connection to
its end. Contenders: uaio-serve, nginx with the same time for a head, and both without the slow
connections (uaio_quiet, nginx_quiet); uaio_beside is asked while they are another server's on the
same processor, which tells what the machine has to do with it. A minimal time below a millisecond
is a smoke run, with fewer connections for a moment.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from http_server import NGINX, chosen_arguments, free_port, started

ROOT = Path(__file__).resolve().parent.parent
SLOW_HEADS = ROOT / "tests" / "support" / "slow_heads.py"
CONNECTIONS = 10_000
HEAD_TIMEOUT = 5
SECONDS = 10  # that, the lingering behind a 408, and time for the new ones
CONTENDERS = ("uaio", "uaio_quiet", "uaio_beside", "nginx", "nginx_quiet")
CASES = ("p50", "p99", "closed")
PERCENTILES = """
done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format("seen %d %d %d %d %d", summary.requests, latency:percentile(50),
        latency:percentile(99), latency.max, errors.connect + errors.read + errors.write +
        errors.status + errors.timeout))
end
"""


@contextlib.contextmanager
def server(contender, build, folder):
    """The port of one that runs meanwhile."""
    if contender.startswith("nginx"):
        port = free_port()
        config = NGINX.format(folder=folder, port=port)
        config = config.replace("worker_connections 4096", "worker_connections 16384")
        config = config.replace("sendfile on;",
                                f"sendfile on; client_header_timeout {HEAD_TIMEOUT}s;")
        (folder / "nginx.conf").write_text(config)
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    else:
        port = None
        command = [str(build / "tools" / "uaio-serve"), "--port", "0", "--head-timeout",
                   str(HEAD_TIMEOUT), str(folder)]
    with started(command, port) as (port, _):
        yield port


@contextlib.contextmanager
def slow_connections(port, number):
    """Open meanwhile; what became of them is in the result after that."""
    report = {}
    command = ["taskset", "-c", str(os.cpu_count() - 1), sys.executable, str(SLOW_HEADS), str(port),
               "--connections", str(number), "--rate", str(number / HEAD_TIMEOUT), "--again"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        if process.stdout.readline() != "open\n":
            sys.exit(f"{' '.join(command)} failed")
        yield report
        report.update(json.loads(process.communicate()[0]))


def ask(port, folder, seconds):
    """Requests, and nanoseconds: the median, the 99th percentile and the most."""
    script = folder / "percentiles.lua"
    script.write_text(PERCENTILES)
    command = ["taskset", "-c", str(os.cpu_count() - 1), "wrk", "-t1", "-c1", f"-d{seconds}s", "-s",
               str(script), f"http://127.0.0.1:{port}/small.bin"]
    output = subprocess.run(command, capture_output=True, text=True, check=True,
                            timeout=60).stdout
    requests, *micros, errors = map(int, re.search(r"seen (.*)", output)[1].split())
    if errors:
        sys.exit(f"{' '.join(command)}: {output}")
    return requests, [1000 * time for time in micros]


def measure(contender, build, folder, smoke):
    """The entries of a contender's cases."""
    number, seconds = (100, 1) if smoke else (CONNECTIONS, SECONDS)
    quiet = contender.endswith("_quiet")
    if contender.startswith("nginx") and not shutil.which("nginx"):
        return [{"name": name_of(case, contender), "run_type": "iteration", "error_occurred": True,
                 "error_message": "unavailable: no nginx"} for case in cases_of(contender)]
    with contextlib.ExitStack() as running:
        port = running.enter_context(server(contender, build, folder))
        attacked = port
        if contender.endswith("_beside"):
            attacked = running.enter_context(server(contender, build, folder))
        ask(port, folder, 1)  # warms up
        seen = {}
        if not quiet:
            seen = running.enter_context(slow_connections(attacked, number))
        requests, times = ask(port, folder, seconds)
    if not requests:
        sys.exit(f"{contender} answered nothing in {seconds} s: is the machine busy?")
    p50, p99, most = times
    closed = seen.get("closed_after", [0])[-1] * 1e9
    more = {"iterations": requests, "most_ns": most, **seen}
    return [entry(case, contender, value, more)
            for case, value in zip(cases_of(contender), (p50, p99, closed))]


def cases_of(contender):
    return CASES[:-1] if "_" in contender else CASES


def name_of(case, contender):
    return f"{case}/{contender}/real_time"


def entry(case, contender, value, more):
    return {"name": name_of(case, contender), "run_type": "iteration", "time_unit": "ns",
            "threads": 1, "real_time": value, "cpu_time": value, **more}


def main():
    chosen = chosen_arguments()
    wanted = {name_of(case, contender): contender for contender in CONTENDERS
              for case in cases_of(contender)
              if re.search(chosen.benchmark_filter, name_of(case, contender))}
    if chosen.benchmark_list_tests:
        print("\n".join(wanted))
        return
    if not shutil.which("wrk"):
        sys.exit("this needs wrk (apt-get install wrk)")
    contenders = list(dict.fromkeys(wanted.values()))
    if chosen.reverse:
        contenders.reverse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "small.bin").write_bytes(os.urandom(4 << 10))
        smoke = chosen.benchmark_min_time < 0.001
        results = [result for contender in contenders
                   for result in measure(contender, chosen.build.resolve(), folder, smoke)
                   if result["name"] in wanted]
    context = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "num_cpus": os.cpu_count()}
    if chosen.benchmark_out:
        chosen.benchmark_out.write_text(json.dumps({"context": context, "benchmarks": results}))


if __name__ == "__main__":
    main()
