#!/usr/bin/env python3
"""Other TLS implementations against uaio: uaio-serve, examples/https_client and
two of tests/programs.

    tests/tls_interop_test.py BUILD

OpenSSL's and GnuTLS's programs, curl, nginx, stunnel, wrk and Python, on loopback ports chosen by
the kernel; keys are made for each run. Prints a line a case for tests/run.py; a program that is
not installed is a skip.
"""

import contextlib
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import proxy_lab
from interop_test import HELLO, connections_allowed, resident
from lab import (PATIENCE, Programs, connect_as_one_of_many, free_port, run, run_cases, same,
                 wait_until)

NAMES = "DNS:localhost,IP:127.0.0.1"


class Lab(Programs):
    """A uaio-serve with a certificate of an authority made for this run."""

    def __init__(self, build, folder, stack):
        super().__init__(build, folder, stack)
        self.large = os.urandom(3 << 20)
        self.site = folder / "site"
        self.site.mkdir()
        (self.site / "large.bin").write_bytes(self.large)
        (self.site / "index.html").write_bytes(HELLO)
        self.authority = self.make("authority", [
            "-x509", "-subj", "/CN=uaio interop authority",
            "-addext", "keyUsage=critical,keyCertSign"])
        self.chain, self.key = self.issue("server", NAMES), folder / "server.key"
        other = self.issue("other", "DNS:other.test")
        self.port = self.serve("--tls-cert", other, "--tls-key", folder / "other.key")
        self.url = f"https://localhost:{self.port}"

    def serve(self, *more):
        """Starts another uaio-serve; returns its port."""
        return self.start([self.build / "tools" / "uaio-serve", "--port", "0", "--tls-cert",
                           self.chain, "--tls-key", self.key, *more,
                           self.site], r"https://.*:(\d+)/")

    def make(self, name, arguments):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem",
            "-days", "2", *arguments)
        return self.folder / f"{name}.pem"

    def issue(self, name, names):
        request = self.make(name, ["-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"])
        run("openssl", "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey",
            self.folder / "authority.key", "-copy_extensions", "copyall", "-out", request,
            "-days", "2")
        return request

    def curl(self, *arguments):
        return run("curl", "-sS", "--fail", "--max-time", PATIENCE, "--cacert", self.authority,
                   *arguments)

    def client(self, port, target="/", times=1, authority=None, more=(), name="localhost"):
        """Content and report of examples/https_client, and whether it succeeded."""
        done = subprocess.run([str(word) for word in (
            self.build / "examples" / "https_client", f"127.0.0.1:{port}", name, target,
            authority or self.authority, times, *more)], capture_output=True, timeout=PATIENCE,
            check=False)
        return done.stdout, done.stderr.decode(), done.returncode == 0

    def get(self, port, target="/", **arguments):
        content, report, ok = self.client(port, target, **arguments)
        assert ok, report
        return content, report


# ---- clients against uaio's server ----

def curl_gets(lab):
    for version in ([], ["--tls-max", "1.2"], ["--tlsv1.3"]):
        same(lab.curl(*version, lab.url + "/"), HELLO)
        same(lab.curl(*version, lab.url + "/large.bin"), lab.large)
    made = lab.curl("-w", "%{num_connects}", "-o", "/dev/null", lab.url + "/",
                    "-o", "/dev/null", lab.url + "/large.bin")
    same(made, b"10")


def curl_gets_the_certificate_of_the_name(lab):
    name = f"https://other.test:{lab.port}/"
    same(lab.curl("--resolve", f"other.test:{lab.port}:127.0.0.1", name), HELLO)
    refused = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE), lab.url], check=False,
                             capture_output=True)
    assert refused.returncode == 60, refused.stderr  # without the test's authority


def openssl_client(lab):
    for version in ("-tls1_2", "-tls1_3"):
        session = lab.folder / f"session{version}"
        for way in ("-sess_out", "-sess_in"):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{lab.port}", "-servername",
                 "localhost", "-CAfile", lab.authority, "-verify_return_error", version, way,
                 session, "-ign_eof"], check=False, capture_output=True, timeout=PATIENCE,
                input=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            output = done.stdout.decode(errors="replace")
            assert done.returncode == 0 and "hello" in output, output[-500:]
            assert "Verify return code: 0" in output, output[-500:]
            assert ("Reused, " if way == "-sess_in" else "New, ") in output, output[-800:]


def openssl_client_replaces_keys(lab):
    """s_client updates keys on a line with k or K, and drops input that it reads together with that
    line, so each step waits for the one before."""
    output = lab.folder / "s_client.out"
    with open(output, "wb") as out, subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{lab.port}", "-tls1_3", "-msg"],
            stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL, bufsize=0) as peer:
        lab.stack.callback(peer.kill)

        def ask(what, answer, times):
            peer.stdin.write(what)
            wait_until(lambda: len(re.findall(answer, output.read_bytes())) >= times,
                       f"{times} times {answer} is not there: {output.read_bytes()[-300:]}")

        for turn in range(1, 4):
            # The server sends its new key although it has nothing to write.
            ask(b"K\n", rb"(?m)^<<< TLS 1.3, .*KeyUpdate$", turn)
            ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", rb"(?m)^hello$", 2 * turn - 1)
            ask(b"k\n", rb"(?m)^>>> TLS 1.3, .*KeyUpdate$", 2 * turn)
            ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", rb"(?m)^hello$", 2 * turn)
        peer.stdin.close()
        assert peer.wait(PATIENCE) == 0
    received = len(re.findall(rb"(?m)^<<< TLS 1.3, .*KeyUpdate$", output.read_bytes()))
    assert received == 3, f"{received} key updates of the server for 3 requests"


def gnutls_client(lab):
    for version in ("1.2", "1.3"):
        done = subprocess.run(
            ["gnutls-cli", "--x509cafile", str(lab.authority), "-p", str(lab.port), "--priority",
             f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "localhost"], check=False,
            capture_output=True, timeout=PATIENCE,
            input=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        output = (done.stdout + done.stderr).decode(errors="replace")
        assert "The certificate is trusted" in output and "hello" in output, output[-800:]
        assert f"TLS{version}" in output, output[-800:]


def python_client(lab):
    context = ssl.create_default_context(cafile=lab.authority)
    with socket.create_connection(("127.0.0.1", lab.port), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname="localhost",
                                 suppress_ragged_eofs=False) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            response = b""
            while more := peer.recv(65536):
                response += more
            assert response.endswith(HELLO), response
            peer.unwrap()  # both sides sent the closing alert


def idle_tls_connections_are_small(lab):
    """Real TLS clients, each of which gets an answer, and then stays idle."""
    wanted = connections_allowed()
    port = lab.serve("--idle-timeout", 0)
    server = lab.last.pid
    resident(server)  # or a skip
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.create_default_context(cafile=lab.authority)
    request = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux)\r\n"
               b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n\r\n")

    def ask(peer):
        peer.sendall(request)
        response = b""
        while not response.endswith(HELLO):
            response += peer.recv(4096) or b"the end, too early" + HELLO
        assert response.startswith(b"HTTP/1.1 200 "), response

    def connect(number):
        plain = connect_as_one_of_many(port, number)
        peer = peers.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        ask(peer)
        return peer

    with contextlib.ExitStack() as peers, ThreadPoolExecutor(4) as pool:
        list(pool.map(connect, range(100)))
        before = resident(server)
        idle = list(pool.map(connect, range(wanted)))
        each = (resident(server) - before) / wanted
        for peer in idle[::100]:
            ask(peer)  # it was connected all the time
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{each:.0f} bytes for each of {wanted} idle TLS connections", flush=True)
    assert each <= 24 * 1024, f"{each:.0f} bytes each"


def silent_clients_do_not_delay_others(lab):
    """More silent connections than the limit of handshakes, none of which ends by itself; curl
    still gets its file, at the default limit and at a small one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for limit in (1024, 8):
        port = lab.serve("--handshake-timeout", 0, "--handshakes", limit)
        with contextlib.ExitStack() as peers:
            for number in range(limit + 100):
                peers.enter_context(connect_as_one_of_many(port, number))
            same(lab.curl(f"https://localhost:{port}/"), HELLO)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wrk_load(lab):
    output = run("wrk", "-t1", "-c50", "-d1s", lab.url + "/").decode()
    errors = re.search(r"Socket errors: (.*), timeout", output)
    assert not errors or errors[1] == "connect 0, read 0, write 0", output
    assert "Non-2xx" not in output and "requests in" in output, output


def start_echo(lab):
    """Starts tls_echo; returns its port."""
    return lab.start([lab.build / "tests" / "tls_echo", lab.chain, lab.key], r"tls://.*:(\d+)$")


def stunnel_client(lab):
    """stunnel turns plain bytes into TLS for tls_echo."""
    behind = start_echo(lab)
    sent = os.urandom(300_000)
    for version in ("TLSv1.2", "TLSv1.3"):
        port = proxy_lab.start_stunnel_client(lab, behind, f"sslVersion = {version}")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
            writing = threading.Thread(target=peer.sendall, args=(sent,))
            writing.start()
            got = bytearray()
            while len(got) < len(proxy_lab.GREETING + sent) and (more := peer.recv(65536)):
                got += more
            writing.join()
            same(got, proxy_lab.GREETING + sent)


# The clients read lines, and treat some letters at the beginning of a line as commands.
LINES = b"".join(b"%07d\n" % i for i in range(300_000 // 8))


def receives_its_echo(lab, *client):
    """A program that sends its input to tls_echo, and prints the bytes that it receives."""
    with subprocess.Popen([str(word) for word in client], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as peer:
        lab.stack.callback(peer.kill)
        writing = threading.Thread(target=lambda: peer.stdin.write(LINES) and peer.stdin.flush())
        watchdog = threading.Timer(PATIENCE, peer.kill)
        writing.start()
        watchdog.start()
        output = bytearray()
        while not output.endswith(LINES[-8:]) and (more := peer.stdout.read1(65536)):
            output += more
        writing.join()
        watchdog.cancel()
        peer.kill()
    wanted = proxy_lab.GREETING + LINES
    assert output.endswith(wanted), f"received {len(output)} bytes: {output[-200:]}"


def openssl_client_receives_its_echo(lab):
    for version in ("-tls1_2", "-tls1_3"):
        receives_its_echo(lab, "openssl", "s_client", "-connect", f"127.0.0.1:{start_echo(lab)}",
                          "-CAfile", lab.authority, "-verify_return_error", "-quiet", version)


def gnutls_client_receives_its_echo(lab):
    for version in ("1.2", "1.3"):
        receives_its_echo(lab, "gnutls-cli", "--x509cafile", lab.authority, "-p", start_echo(lab),
                          "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "localhost")


# ---- uaio's client against real servers ----

def openssl_server(lab):
    for version in ("-tls1_2", "-tls1_3"):
        port = free_port()
        lab.start(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", lab.chain,
                   "-key", lab.key, "-www", "-quiet", version], port=port)
        content, report = lab.get(port, times=3)
        assert b"s_server" in content, content[:200]
        assert "3 handshakes, 2 of them resumed" in report, report


def openssl_server_wants_a_certificate(lab):
    lab.issue("client", "DNS:client")
    for version in ("-tls1_2", "-tls1_3"):
        port = free_port()
        lab.start(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", lab.chain,
                   "-key", lab.key, "-www", "-quiet", version, "-Verify", "3",
                   "-verify_return_error", "-CAfile", lab.authority], port=port)
        more = (lab.folder / "client.pem", lab.folder / "client.key")
        assert b"s_server" in lab.get(port, more=more)[0]
        _, report, ok = lab.client(port)
        assert not ok and ("certificate" in report or "alert" in report), report


def gnutls_server(lab):
    for version in ("1.2", "1.3"):
        port = free_port()
        lab.start(["gnutls-serv", "--http", "-p", port, "--x509certfile", lab.chain,
                   "--x509keyfile", lab.key, "--priority",
                   f"NORMAL:-VERS-ALL:+VERS-TLS{version}"], port=port)
        content, report = lab.get(port, times=2)
        assert b"GnuTLS" in content, content[:200]
        assert "2 handshakes" in report, report


def nginx_server(lab):
    for versions in ("TLSv1.2", "TLSv1.3"):
        port = free_port()
        path = lab.folder / f"nginx-{port}.conf"
        path.write_text(f"""
daemon off; worker_processes 1; pid {lab.folder}/nginx-{port}.pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {lab.folder}/n1; proxy_temp_path {lab.folder}/n2;
  fastcgi_temp_path {lab.folder}/n3; uwsgi_temp_path {lab.folder}/n4;
  scgi_temp_path {lab.folder}/n5;
  server {{ listen 127.0.0.1:{port} ssl; ssl_protocols {versions}; root {lab.site};
            ssl_certificate {lab.chain}; ssl_certificate_key {lab.key}; }}
}}
""")
        lab.start(["nginx", "-p", lab.folder, "-c", path], port=port)
        content, report = lab.get(port, "/large.bin", times=3)
        same(content, lab.large)
        assert "3 handshakes, 2 of them resumed" in report, report


def stunnel_server(lab):
    """stunnel turns the client's TLS into plain bytes for an echo server."""
    echo = proxy_lab.echo_server(lab.stack)
    for version in ("TLSv1.2", "TLSv1.3"):
        port = proxy_lab.start_stunnel(lab, echo, f"sslVersion = {version}")
        output = run(lab.build / "tests" / "dial_echo", f"tls://localhost:{port}", "proxy=",
                     f"ca={lab.authority}")
        assert output.startswith(b"ok "), output


def python_server_without_close_notify(lab):
    """Closes without the closing alert, in the middle of the announced content, and at its end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lab.chain, lab.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for head in (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
                     b"HTTP/1.1 200 OK\r\n\r\nhello"):
            with subprocess.Popen(
                    [lab.build / "examples" / "https_client",
                     f"127.0.0.1:{listener.getsockname()[1]}", "localhost", "/", lab.authority],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) as peer:
                    peer.recv(1000)
                    peer.sendall(head)
                    peer.shutdown(socket.SHUT_RDWR)
                report = client.communicate(timeout=PATIENCE)[1].decode()
                assert client.returncode == 1 and "ended inside" in report, report


def untrusted_certificates_are_refused(lab):
    _, report, ok = lab.client(lab.port, authority="-")
    assert not ok and "to a trusted authority" in report, report
    _, report, ok = lab.client(lab.port, name="wrong.test")
    assert not ok and "not for the requested name" in report, report
    same(lab.get(lab.port, "/large.bin", times=2)[0], lab.large)


CASES = [
    (curl_gets, "curl"), (curl_gets_the_certificate_of_the_name, "curl"),
    (openssl_client, "openssl"), (openssl_client_replaces_keys, "openssl"),
    (gnutls_client, "gnutls-cli"), (python_client, sys.executable),
    (idle_tls_connections_are_small, sys.executable), (silent_clients_do_not_delay_others, "curl"),
    (wrk_load, "wrk"), (stunnel_client, "stunnel"), (openssl_client_receives_its_echo, "openssl"),
    (gnutls_client_receives_its_echo, "gnutls-cli"), (stunnel_server, "stunnel"),
    (openssl_server, "openssl"), (openssl_server_wants_a_certificate, "openssl"),
    (gnutls_server, "gnutls-serv"), (nginx_server, "nginx"),
    (python_server_without_close_notify, sys.executable),
    (untrusted_certificates_are_refused, sys.executable),
]


def main():
    build = Path(sys.argv[1]).resolve()
    config = build / "include" / "uaio" / "config.h"
    if "kTls = true" not in config.read_text():
        print("skip tls interop: the build option tls is disabled")
        return 0
    if not shutil.which("openssl"):
        print("skip tls interop: openssl is not installed, which makes the certificates")
        return 0
    return run_cases("tls interop", CASES, lambda folder, stack: Lab(build, folder, stack))


if __name__ == "__main__":
    sys.exit(main())
