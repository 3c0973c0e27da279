#!/usr/bin/env python3
"""Real HTTP programs against examples/http_server, examples/http_client and uaio-serve.

    tests/interop_test.py BUILD

Clients, proxies and origins from Debian's packages, on loopback ports chosen by the kernel. Prints
a line a case for tests/run.py; a program that is not installed is a skip.
"""

import contextlib
import hashlib
import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from lab import (PATIENCE, Programs, Skip, connect_as_one_of_many, free_port, run, run_cases, same,
                 wait_until)

HELLO = b"hello\n"
COUNT = "".join(f"{i}\n" for i in range(1, 1001)).encode()


class Lab(Programs):
    """uaio's servers, and files for them."""

    def __init__(self, build, folder, stack):
        super().__init__(build, folder, stack)
        self.large = os.urandom(3 << 20)
        self.upload = os.urandom(900_000)
        site = folder / "site"
        site.mkdir()
        (site / "large.bin").write_bytes(self.large)
        (site / "index.html").write_bytes(HELLO)
        (folder / "upload.bin").write_bytes(self.upload)
        self.site = site
        self.echo_port = self.start([build / "examples" / "http_server", "0"], r":(\d+)/")
        self.serve_port = self.start([build / "tools" / "uaio-serve", "--port", "0", site],
                                     r":(\d+)/")
        self.serve_pid = self.last.pid
        self.echo = f"http://127.0.0.1:{self.echo_port}"
        self.serve = f"http://127.0.0.1:{self.serve_port}"

    def get(self, *arguments):
        """The output of curl."""
        return run("curl", "-sS", "--fail", "--max-time", str(PATIENCE), *arguments)

    def client(self, port, target, times=1, *file):
        """Content and report of examples/http_client."""
        done = subprocess.run([str(self.build / "examples" / "http_client"), f"127.0.0.1:{port}",
                               target, str(times), *map(str, file)], capture_output=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout, done.stderr.decode()


# ---- clients against uaio's server ----

def curl_gets(lab):
    same(lab.get(lab.echo), HELLO)
    same(lab.get("--http1.0", lab.echo), HELLO)
    same(lab.get(lab.echo + "/count"), COUNT)
    same(lab.get("--http1.0", lab.echo + "/count"), COUNT)
    same(lab.get(lab.serve + "/large.bin"), lab.large)
    same(lab.get("-r", "1000-1999999", lab.serve + "/large.bin"), lab.large[1000:2000000])
    head = lab.get("-I", lab.serve + "/large.bin").decode()
    assert f"Content-Length: {len(lab.large)}" in head, head


def curl_posts(lab):
    data = f"@{lab.folder}/upload.bin"
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"],
                 ["--http1.0"]):
        same(lab.get(*more, "--data-binary", data, lab.echo + "/echo"), lab.upload)


def curl_keeps_connections(lab):
    made = lab.get("-w", "%{num_connects}", "-o", "/dev/null", lab.echo + "/",
                   "-o", "/dev/null", lab.echo + "/count", "-o", "/dev/null", lab.echo + "/")
    same(made, b"100")


def python_client(lab):
    connection = http.client.HTTPConnection("127.0.0.1", lab.echo_port, timeout=PATIENCE)
    for chunked in (False, True):
        body = iter([lab.upload[:1000], lab.upload[1000:]]) if chunked else lab.upload
        headers = {} if chunked else {"Content-Length": str(len(lab.upload))}
        connection.request("POST", "/echo", body=body, headers=headers, encode_chunked=chunked)
        same(connection.getresponse().read(), lab.upload)
    connection.close()


def node_client(lab):
    script = """
const http = require('http'), fs = require('fs'), crypto = require('crypto');
const [, url, file] = process.argv;
const options = {method: 'POST', agent: new http.Agent({keepAlive: true})};
const request = http.request(url, options, response => {
  const hash = crypto.createHash('sha256');
  response.on('data', data => hash.update(data));
  response.on('end', () => { console.log(hash.digest('hex')); process.exit(0); });
});
fs.createReadStream(file).pipe(request);
"""
    seen = run("node", "-e", script, lab.echo + "/echo", lab.folder / "upload.bin").decode().strip()
    assert seen == hashlib.sha256(lab.upload).hexdigest(), seen


def wrk_load(lab):
    output = run("wrk", "-t1", "-c50", "-d1s", lab.echo + "/").decode()
    # A busy machine may cause timeouts, which are no errors.
    errors = re.search(r"Socket errors: (.*), timeout", output)
    assert not errors or errors[1] == "connect 0, read 0, write 0", output
    assert "Non-2xx" not in output and "requests in" in output, output


def ab_load(lab):
    output = run("ab", "-q", "-k", "-c", "8", "-n", "2000", lab.echo + "/").decode()
    assert re.search(r"Failed requests:\s+0\n", output), output
    assert re.search(r"Keep-Alive requests:\s+2000\n", output), output


def h2load_load(lab):
    output = run("h2load", "--h1", "-n", "2000", "-c", "8", lab.echo + "/").decode()
    assert "2000 succeeded, 0 failed" in output, output


def slowhttptest_slow_heads(lab):
    attack = subprocess.Popen(
        ["slowhttptest", "-c", "200", "-H", "-i", "1", "-r", "200", "-l", "4", "-u",
         lab.serve + "/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        descriptors = Path(f"/proc/{lab.serve_pid}/fd")
        wait_until(lambda: len(list(descriptors.iterdir())) > 150, "the attack did not start")
        for _ in range(20):
            same(lab.get(lab.serve + "/"), HELLO)
    finally:
        attack.wait(timeout=60)


def slow_heads_expire(lab):
    wanted = connections_allowed()
    timeout, linger = 5, 2  # its --head-timeout, and ServerOptions::linger_timeout
    port = lab.start([lab.build / "tools" / "uaio-serve", "--port", "0", "--head-timeout", timeout,
                      lab.site], r":(\d+)/")
    attack = subprocess.Popen(
        [lab.build / "tests" / "slow_heads", str(port), str(wanted), "20000"],
        stdout=subprocess.PIPE, text=True)
    lab.stack.callback(attack.wait)
    lab.stack.callback(attack.kill)
    assert attack.stdout.readline() == "open\n", "the attack did not start"
    limit = time.monotonic() + timeout + linger + PATIENCE
    answered = 0
    while attack.poll() is None:
        assert time.monotonic() < limit, "slow connections stay open"
        same(lab.get(f"http://127.0.0.1:{port}/"), HELLO)
        answered += 1
    seen = json.loads(attack.stdout.read())
    assert seen["made"] == seen["denied"] == seen["closed"] == wanted, seen
    # The server may read the clock a moment before the client does.
    assert seen["answered_after"][0] > timeout - 0.1, seen
    assert seen["answered_after"][-1] < timeout + PATIENCE, seen
    assert answered > 10, f"{answered} requests served"


def connections_allowed():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        raise Skip(f"the kernel limits this process to {hard} descriptors")
    return min(10_000, hard - 1000)


def resident(process):
    """Resident bytes of a process; skips a program built with a sanitizer."""
    program = Path(f"/proc/{process}/exe").read_bytes()
    if b"__asan_init" in program or b"__tsan_init" in program:
        raise Skip("a sanitizer adds its own memory to the server's")
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def idle_connections_are_small(lab):
    wanted = connections_allowed()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request = (b"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
               b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n\r\n")

    def ask(number):
        peer = connect_as_one_of_many(lab.serve_port, number)
        peer.sendall(request)
        assert peer.recv(4096).endswith(HELLO)
        return peer

    with contextlib.ExitStack() as peers:
        for number in range(100):
            peers.enter_context(ask(number))
        before = resident(lab.serve_pid)
        for number in range(wanted):
            peers.enter_context(ask(number))
        each = (resident(lab.serve_pid) - before) / wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert each <= 4096, f"{each:.0f} bytes each"


# ---- proxies in front of uaio's server ----

def nginx_config(lab, port, body, version="1.1"):
    path = lab.folder / f"nginx-{port}.conf"
    path.write_text(f"""
daemon off; worker_processes 1; pid {lab.folder}/nginx-{port}.pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 10m;
  client_body_temp_path {lab.folder}/n1; proxy_temp_path {lab.folder}/n2;
  fastcgi_temp_path {lab.folder}/n3; uwsgi_temp_path {lab.folder}/n4;
  scgi_temp_path {lab.folder}/n5;
  upstream ours {{ server 127.0.0.1:{lab.echo_port}; keepalive 4; }}
  server {{ listen 127.0.0.1:{port}; proxy_http_version {version};
            proxy_set_header Connection ""; {body} }}
}}
""")
    return ["nginx", "-p", lab.folder, "-c", path]


def through(lab, port):
    base = f"http://127.0.0.1:{port}"
    for _ in range(3):
        same(lab.get(base + "/"), HELLO)
    same(lab.get(base + "/count"), COUNT)
    for more in ([], ["-H", "Transfer-Encoding: chunked"]):
        same(lab.get(*more, "--data-binary", f"@{lab.folder}/upload.bin", base + "/echo"),
             lab.upload)


def nginx_in_front(lab):
    for version in ("1.0", "1.1"):
        port = free_port()
        body = "location / { proxy_pass http://ours; proxy_request_buffering off; }"
        through(lab, lab.start(nginx_config(lab, port, body, version), port=port))


def haproxy_in_front(lab):
    port = free_port()
    path = lab.folder / "haproxy.cfg"
    path.write_text(f"""
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen front
  bind 127.0.0.1:{port}
  server ours 127.0.0.1:{lab.echo_port}
""")
    through(lab, lab.start(["haproxy", "-db", "-f", path], port=port))


# ---- uaio's client against real servers ----

def nginx_as_origin(lab):
    port = free_port()
    lab.start(nginx_config(lab, port, f"location / {{ root {lab.site}; }}"), port=port)
    content, report = lab.client(port, "/large.bin", 3)
    same(content, lab.large)
    assert "200" in report and "1 connections" in report, report
    assert lab.client(port, "/none")[1].startswith("404"), "404 expected"


def apache_config(lab, port, body):
    """Apache with the modules for a page, or for a proxy in front of uaio's server."""
    path = lab.folder / f"apache-{port}.conf"
    modules = "mpm_event authz_core dir mime proxy proxy_http".split()
    loads = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                      for name in modules)
    path.write_text(f"""
{loads}
ServerRoot {lab.folder}
ServerName localhost
DefaultRuntimeDir {lab.folder}
PidFile {lab.folder}/apache-{port}.pid
ErrorLog /dev/null
TypesConfig /dev/null
User nobody
Group nogroup
Listen 127.0.0.1:{port}
KeepAlive On
{body}
""")
    return ["apache2", "-f", path, "-DFOREGROUND"]


def apache_in_front(lab):
    port = free_port()
    body = f"ProxyPass / http://127.0.0.1:{lab.echo_port}/ keepalive=On"
    through(lab, lab.start(apache_config(lab, port, body), port=port))


def apache_as_origin(lab):
    port = free_port()
    body = f"DocumentRoot {lab.site}\n<Directory {lab.site}>\nRequire all granted\n</Directory>"
    lab.start(apache_config(lab, port, body), port=port)
    content, report = lab.client(port, "/large.bin", 3)
    same(content, lab.large)
    assert "200" in report and "1 connections" in report, report
    assert lab.client(port, "/none")[1].startswith("404"), "404 expected"


def node_as_origin(lab):
    script = """
const server = require('http').createServer((q, s) => q.pipe(s));
server.listen(0, '127.0.0.1', () => console.log(':' + server.address().port + '/'));
"""
    port = lab.start(["node", "-e", script], r":(\d+)/")
    content, report = lab.client(port, "/", 2, lab.folder / "upload.bin")
    same(content, lab.upload)
    assert "1 connections" in report, report


def python_as_origin(lab):
    port = free_port()
    lab.start([sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory",
               lab.site], port=port)
    content, report = lab.client(port, "/large.bin", 2)
    same(content, lab.large)
    assert "2 connections" in report, report  # it uses HTTP/1.0


def own_server(lab):
    same(lab.client(lab.echo_port, "/echo", 3, lab.folder / "upload.bin")[0], lab.upload)
    same(lab.client(lab.serve_port, "/large.bin", 3)[0], lab.large)


CASES = [
    (curl_gets, "curl"), (curl_posts, "curl"), (curl_keeps_connections, "curl"),
    (python_client, sys.executable), (node_client, "node"), (wrk_load, "wrk"), (ab_load, "ab"),
    (h2load_load, "h2load"), (slowhttptest_slow_heads, "slowhttptest"),
    (slow_heads_expire, "curl"), (idle_connections_are_small, sys.executable),
    (nginx_in_front, "nginx"), (haproxy_in_front, "haproxy"), (nginx_as_origin, "nginx"),
    (apache_in_front, "apache2"), (apache_as_origin, "apache2"), (node_as_origin, "node"),
    (python_as_origin, sys.executable), (own_server, "curl"),
]


def main():
    build = Path(sys.argv[1]).resolve()
    return run_cases("interop", CASES, lambda folder, stack: Lab(build, folder, stack))


if __name__ == "__main__":
    sys.exit(main())
