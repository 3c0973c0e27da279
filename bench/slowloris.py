#!/usr/bin/env python3
"""Measures one client beside 10,000 others that never finish a request; takes the arguments of a
Google Benchmark program.

    bench/slowloris.py BUILD [--benchmark_list_tests=true] [--benchmark_filter=REGEX]
                             [--benchmark_out=FILE] [--benchmark_min_time=S] [--reverse]

The server runs alone on the first processor. On the last one ab requests a small file, one request
at a time, while tests/programs/slow_heads.cc keeps its connections open with a byte a second each,
and replaces those that the server closes. Their starts are spread over the server's head timeout,
so that they end and reconnect at an even rate. The real time of p50 and p99 is that percentile of
ab's requests, `closed` the longest time from the first byte of a slow connection to its end.
Contenders: uaio-serve, nginx with the same head timeout, and both without the slow connections
(uaio_quiet, nginx_quiet); in uaio_beside the slow connections load a second server on the same
processor, which shows the machine's part. A minimal time below a millisecond is a smoke run, short
and with fewer connections.
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

CONNECTIONS = 10_000
HEAD_TIMEOUT = 5
SECONDS = 10  # the head timeout, the lingering close after a 408, and time for new connections
CONTENDERS = ("uaio", "uaio_quiet", "uaio_beside", "nginx", "nginx_quiet")
CASES = ("p50", "p99", "closed")


@contextlib.contextmanager
def server(contender, build, folder):
    """Runs a contender's server; yields its port."""
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
def slow_connections(build, port, number):
    """Keeps slow connections open; fills the yielded report when they end."""
    report = {}
    command = ["taskset", "-c", str(os.cpu_count() - 1), str(build / "bench" / "slow_heads"),
               str(port), str(number), str(number / HEAD_TIMEOUT), "again"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        if process.stdout.readline() != "open\n":
            sys.exit(f"{' '.join(command)} failed")
        yield report
        report.update(json.loads(process.communicate()[0]))


def ask(port, folder, seconds):
    """Runs ab; returns the number of requests and, in nanoseconds, the median, the 99th percentile
    and the maximum of their times."""
    percentiles = folder / "percentiles.csv"
    command = ["taskset", "-c", str(os.cpu_count() - 1), "ab", "-q", "-k", "-c1", "-t",
               str(seconds), "-n", "100000000", "-e", str(percentiles),
               f"http://127.0.0.1:{port}/small.bin"]
    output = subprocess.run(command, capture_output=True, text=True, check=True,
                            timeout=60).stdout
    requests, failed = (int(re.search(rf"{what} requests: +(\d+)", output)[1])
                        for what in ("Complete", "Failed"))
    if failed or not requests:
        sys.exit(f"{' '.join(command)}: {output}")
    milliseconds = dict(re.findall(r"^(\d+),([\d.]+)$", percentiles.read_text(), re.MULTILINE))
    return requests, [1e6 * float(milliseconds[part]) for part in ("50", "99", "100")]


def measure(contender, build, folder, smoke):
    """Returns the entries of a contender's cases."""
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
            seen = running.enter_context(slow_connections(build, attacked, number))
        requests, times = ask(port, folder, seconds)
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
    if not shutil.which("ab"):
        sys.exit("this needs ab (apt-get install apache2-utils)")
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
