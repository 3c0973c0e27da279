#!/usr/bin/env python3
"""Measures HTTP servers with wrk; takes the arguments of a Google Benchmark program.

    bench/http_server.py BUILD [--benchmark_list_tests=true] [--benchmark_filter=REGEX]
                               [--benchmark_out=FILE] [--benchmark_min_time=S] [--reverse]

Each server runs on the first processor, wrk on the last, and a server runs only while it is
measured. A benchmark is CASE/CONNECTIONS/CONTENDER: `fixed` is a response of 13 bytes (nginx:
return 200), `pipelined` the same with 16 requests in one write, `small_file` 4 KiB, `large_file`
1 MiB. `crowded` is `fixed` with two wrk threads on all processors, so that wrk overloads the
server. The real time is that of a request at full load; side_cpu_ns is the CPU time that all the
server's processes use for a request, from /proc/PID/stat. A minimal time below a millisecond is a
smoke run: 64 connections, to check only that it works.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 1  # wrk has no smaller unit
PATIENCE = 10
PIPELINED = 16
CONNECTIONS = {"fixed": (1, 64, 512), "crowded": (64, 512), "pipelined": (1, 64, 512),
               "small_file": (1, 64, 512), "large_file": (1, 64)}
PATHS = {"fixed": "/fixed", "crowded": "/fixed", "pipelined": "/fixed",
         "small_file": "/small.bin", "large_file": "/large.bin"}
SERVERS = ("uaio", "nginx", "nng")
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  default_type application/octet-stream;
  server {{ listen 127.0.0.1:{port}; root {folder};
            location = /fixed {{ default_type text/plain; return 200 "hello, world\\n"; }} }}
}}
"""
PIPELINE = """
init = function(args)
  local one = wrk.format("GET", "/fixed")
  all = string.rep(one, {depth})
end
request = function() return all end
"""


def benchmarks():
    for case, numbers in CONNECTIONS.items():
        for number in numbers:
            for server in SERVERS:
                if server != "nng" or PATHS[case] == "/fixed":
                    yield case, number, server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    sys.exit(f"no server listens on port {port}")


@contextlib.contextmanager
def started(command, port=None):
    """Runs a server on the first processor; yields its port and its process. Without `port`, reads
    the port from the first line that the server prints, alone or after a colon."""
    pipe = subprocess.DEVNULL if port else subprocess.PIPE
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "taskset", "-c", "0", *command],
                               stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    try:
        if not port:
            port = int(re.search(r"(?:^|:)(\d+)", process.stdout.readline())[1])
        wait_for(port)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        if process.stdout:
            process.stdout.close()


def running(server, build, folder):
    if server != "nginx":
        return started([str(build / "bench" / f"server_{server}"), str(folder)])
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    return started(["nginx", "-p", str(folder), "-c", str(config)], port)


def processes_of(pid):
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += processes_of(int(child))
    return found


def cpu_seconds(pid):
    ticks = 0
    for process in processes_of(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(case, connections, port, folder):
    """Runs wrk for about a second; returns the answered requests and the exact seconds."""
    script = folder / "pipeline.lua"
    script.write_text(PIPELINE.format(depth=PIPELINED))
    command = ["wrk", "-t2" if case == "crowded" else "-t1", f"-c{connections}", f"-d{SECONDS}s",
               f"http://127.0.0.1:{port}{PATHS[case]}"]
    if case != "crowded":
        command = ["taskset", "-c", str(os.cpu_count() - 1), *command]
    if case == "pipelined":
        command += ["-s", str(script)]
    output = subprocess.run(command, capture_output=True, text=True, check=True,
                            timeout=60).stdout
    errors = re.search(r"Socket errors: (.*), timeout", output)
    wrong = re.search(r"Non-2xx.*", output)
    if wrong or (errors and errors[1] != "connect 0, read 0, write 0"):
        sys.exit(f"{' '.join(command)}: {(wrong or errors)[0]}")
    requests, unit, value = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", output).group(1, 3, 2)
    return int(requests), float(value) * {"ms": 1e-3, "s": 1, "m": 60}[unit]


def measure(case, connections, server, build, folder, warm):
    entry = {"name": f"{case}/{connections}/{server}/real_time", "run_type": "iteration",
             "time_unit": "ns", "threads": 1}
    missing = {"nginx": "nginx", "nng": str(build / "bench" / "server_nng")}.get(server)
    if missing and not shutil.which(missing):
        return {**entry, "error_occurred": True, "error_message": f"unavailable: no {missing}"}
    with running(server, build, folder) as (port, process):
        if warm:
            load(case, connections, port, folder)
        before = cpu_seconds(process.pid)
        requests, seconds = load(case, connections, port, folder)
        cpu = cpu_seconds(process.pid) - before
    return {**entry, "iterations": requests, "real_time": seconds * 1e9 / requests,
            "cpu_time": cpu * 1e9 / requests, "side_cpu_ns": cpu * 1e9 / requests}


def chosen_arguments():
    """Parses the Google Benchmark arguments that the scripts support."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--benchmark_list_tests")
    parser.add_argument("--benchmark_filter", default="")
    parser.add_argument("--benchmark_out", type=Path)
    parser.add_argument("--benchmark_min_time", type=float, default=1)
    parser.add_argument("--reverse", action="store_true")
    return parser.parse_known_args()[0]


def main():
    chosen = chosen_arguments()
    names = {f"{case}/{number}/{server}/real_time": (case, number, server)
             for case, number, server in benchmarks()}
    smoke = chosen.benchmark_min_time < 0.001
    wanted = [name for name in names if re.search(chosen.benchmark_filter, name)
              and not (smoke and names[name][1] != 64)]
    if chosen.benchmark_list_tests:
        print("\n".join(wanted))
        return
    if not shutil.which("wrk"):
        sys.exit("this needs wrk (apt-get install wrk)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "small.bin").write_bytes(os.urandom(4 << 10))
        (folder / "large.bin").write_bytes(os.urandom(1 << 20))
        order = reversed(wanted) if chosen.reverse else wanted
        results = [measure(*names[name], chosen.build.resolve(), folder, not smoke)
                   for name in order]
    context = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "num_cpus": os.cpu_count()}
    if chosen.benchmark_out:
        chosen.benchmark_out.write_text(json.dumps({"context": context, "benchmarks": results}))


if __name__ == "__main__":
    main()
