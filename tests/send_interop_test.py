#!/usr/bin/env python3
"""uaio-send against real servers and through real proxies: its input must come back.

    tests/send_interop_test.py BUILD [CASE]...

Plain and in TLS. Peers are Debian's programs and Python, on loopback ports chosen by the kernel;
keys are made for each run. Prints a line a case for tests/run.py; a program that is not installed
is a skip.
"""

import contextlib
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import proxy_lab
import send_lab
from lab import PATIENCE, free_port
from proxy_lab import GREETING, echo_server
from send_lab import (ARGUMENTS, CERTIFICATE, DATA, NAME, NO_CONNECTION, PROXY, TLS_FAILED,
                      openssl_server)


# ---- bytes both ways ----

def bytes_are_transferred_both_ways(lab):
    lab.echoes_both()
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as out:
        file.write(DATA)
        file.seek(0)
        subprocess.run(lab.command(lab.plain), stdin=file, stdout=out, check=True, timeout=60)
        out.seek(0)
        assert out.read() == GREETING + DATA, "the transferred bytes differ from the file"


def a_closed_standard_input_is_empty(lab):
    done = subprocess.run(["sh", "-c", '"$0" "$@" <&-', *lab.command(
        "-q", "0.05", f"tcp://127.0.0.1:{lab.echo}")], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout == GREETING, (done.returncode, done.stdout)


def quit_after_ends_the_program(lab):
    out, messages, code = lab.send("--quit-after", "0.3", f"tcp://127.0.0.1:{lab.echo}")
    assert code == 0 and out == GREETING + DATA, f"{code}, {len(out)} bytes: {messages}"


def memory_use_is_bounded(lab):
    """The server reads only once this side can write no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(
            lab.command(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as process:
        peer = listener.accept()[0]
        os.set_blocking(process.stdin.fileno(), False)
        written = 0
        # Until a second passes without progress, or enough bytes are written.
        while written < 256 << 20 and select.select([], [process.stdin], [], 1)[1]:
            written += os.write(process.stdin.fileno(), b"x" * 65536)
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024
        process.stdin.close()
        came = 0
        while came < written:
            came += len(peer.recv(1 << 20))
        peer.close()
        assert process.wait(PATIENCE) == 0
    sanitized = b"__asan_init" in lab.program.read_bytes()
    assert peak < 40 or sanitized, f"{peak} MiB for {written >> 20} MiB"


def an_output_that_is_not_read_stops_the_server(lab):
    with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(
            lab.command(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE) as process:
        peer = listener.accept()[0]
        peer.setblocking(False)
        sent = 0
        while sent < 256 << 20 and select.select([], [peer], [], 1)[1]:
            sent += peer.send(b"y" * 65536)
        assert sent < 256 << 20, "the program read all bytes"
        peer.close()
        assert len(process.stdout.read()) == sent
        assert process.wait(PATIENCE) == 0


# ---- real servers ----

def exchanges_data_with(lab, server, *arguments, name="localhost"):
    """A server that prints received bytes and sends its standard input: DATA both ways."""
    with tempfile.TemporaryFile() as source, server as peer:
        source.write(DATA)
        source.seek(0)
        with subprocess.Popen(lab.command(*arguments, "--cacert", lab.authority, "-q", "1"),
                              stdin=source, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            received = []
            reader = threading.Thread(target=lambda: received.append(peer.stdout.read(len(DATA))))
            reader.start()
            peer.stdin.write(DATA)
            peer.stdin.flush()
            out, messages = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, messages.decode()
            assert out == DATA, f"{len(out)} bytes were received"
            reader.join(PATIENCE)
            assert received and received[0] == DATA, f"{name} received other bytes"


def openssl_echoes(lab):
    lab.needs_tls()
    for version in ("-tls1_2", "-tls1_3"):
        server = openssl_server(lab, version)
        with server as peer:
            exchanges_data_with(lab, contextlib.nullcontext(peer), f"tls://localhost:{peer.port}")


def gnutls_echoes(lab):
    lab.needs_tls()
    for version in ("1.2", "1.3"):
        port = free_port()
        lab.start(["gnutls-serv", "--echo", "-p", port, "--x509certfile", lab.chain,
                   "--x509keyfile", lab.key, "--priority",
                   f"NORMAL:-VERS-ALL:+VERS-TLS{version}"], port=port)
        lines = b"".join(b"%07d\n" % i for i in range(len(DATA) // 8))  # gnutls-serv echoes lines
        out, messages, code = lab.send(f"tls://localhost:{port}", "--cacert", lab.authority,
                                       "-q", "1", data=lines)
        assert code == 0 and out == lines, f"TLS {version}: {code}, {len(out)} bytes: {messages}"


def haproxy_in_front(lab):
    lab.needs_tls()
    both = lab.write("haproxy.pem", lab.chain.read_text() + lab.key.read_text())
    behind = echo_server(lab.stack, limit=len(DATA))
    port = proxy_lab.start_haproxy(lab, f"ssl crt {both}", behind)
    lab.echoes(f"tls://localhost:{port}", "--cacert", lab.authority)
    port = proxy_lab.start_haproxy(lab, "accept-proxy", behind)
    for header in ("v1", "v2"):
        lab.echoes(f"tcp://127.0.0.1:{port}", "--proxy-header", header)


def stunnel_in_front(lab):
    lab.needs_tls()
    behind = echo_server(lab.stack, limit=len(DATA))
    port = proxy_lab.start_stunnel(lab, behind)
    lab.echoes(f"tls://localhost:{port}", "--cacert", lab.authority)
    asking = proxy_lab.start_stunnel(lab, behind, f"CAfile = {lab.authority}\nverifyChain = yes")
    own = ("--cert", lab.chain, "--key", lab.key)
    lab.echoes(f"tls://localhost:{asking}", "--cacert", lab.authority, *own)
    lab.fails(TLS_FAILED, "certificate", f"tls://localhost:{asking}", "--cacert", lab.authority)


# ---- real proxies ----

def tinyproxy(lab):
    port = proxy_lab.start_tinyproxy(lab)
    lab.http_proxy = f"http://{lab.login}127.0.0.1:{port}"
    lab.echoes_both("-x", lab.http_proxy)
    lab.fails(PROXY, "--proxy SCHEME://USER:PASSWORD@", lab.plain, "-x", f"127.0.0.1:{port}")
    lab.fails(PROXY, "proxy refused", f"tcp://127.0.0.1:{free_port()}", "-x", lab.http_proxy)
    if lab.has_tls:
        wrapped = proxy_lab.start_stunnel(lab, port)
        lab.echoes_both("-x", f"https://{lab.login}localhost:{wrapped}", "--proxy-cacert",
                        lab.authority)


def squid(lab):
    port = proxy_lab.start_squid_with_basic(lab)
    lab.echoes_both("-x", f"http://{lab.login}127.0.0.1:{port}")
    lab.fails(PROXY, "rejected the user", lab.plain, "-x",
              f"http://{lab.user}:wrong@127.0.0.1:{port}")
    if not lab.has_tls:
        return
    port = proxy_lab.start_squid_inside_tls(lab)
    proxy = ("-x", f"https://localhost:{port}")
    lab.echoes_both(*proxy, "--proxy-cacert", lab.authority)
    lab.echoes_both(*proxy, "--proxy-insecure")
    lab.fails(CERTIFICATE, "no tunnel through the proxy", lab.plain, *proxy)
    port = proxy_lab.start_squid_with_digest(lab)
    lab.echoes_both("-x", f"http://{lab.login}127.0.0.1:{port}", "--proxy-auth", "digest")


def microsocks(lab):
    port = proxy_lab.start_microsocks(lab, "-u", lab.user, "-P", lab.password)
    lab.echoes_both("-x", f"socks5h://{lab.login}127.0.0.1:{port}")
    lab.fails(PROXY, "requires a user and a password", lab.plain, "-x",
              f"socks5h://127.0.0.1:{port}")
    lab.fails(PROXY, "The target refused the connection", f"tcp://127.0.0.1:{free_port()}", "-x",
              f"socks5h://{lab.login}127.0.0.1:{port}")
    if hasattr(lab, "http_proxy"):
        lab.echoes_both("-x", lab.http_proxy, "--pre-proxy",
                        f"socks5h://{lab.login}127.0.0.1:{port}")


def dante(lab):
    port = proxy_lab.start_dante(lab)
    for kind in ("socks4", "socks5", "socks5h"):
        lab.echoes_both("-x", f"{kind}://127.0.0.1:{port}", "-4")


def ssh_dynamic_forwarding(lab):
    port = proxy_lab.start_ssh_forwarding(lab)
    for kind in ("socks4a", "socks5h"):
        lab.echoes_both("-x", f"{kind}://127.0.0.1:{port}")


# ---- options ----

def options_set_the_addresses(lab):
    port = lab.plain.rpartition(":")[2]
    lab.echoes(f"tcp://no.test:{port}", "--resolve", f"no.test:{port}:127.0.0.1")
    lab.echoes("tcp://no.test:1", "--connect-to", f"no.test:1:127.0.0.1:{port}")
    lab.echoes(lab.plain, "-4", "--interface", "lo", "--local-port", f"{free_port()}-65535")
    lab.echoes(lab.plain, "--interface", "127.0.0.5")
    lab.fails(NAME, "allow the other family", f"tcp://no.test:{port}", "-6", "--resolve",
              f"no.test:{port}:127.0.0.1")
    lab.fails(NO_CONNECTION, "network interface does not exist", lab.plain, "--interface", "none0")
    lab.fails(NO_CONNECTION, "", lab.plain, "--interface", "203.0.113.5")


def unix_socket(lab):
    path = lab.folder / "echo.socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            proxy_lab.serve_one(listener.accept()[0], None, len(DATA))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        lab.echoes("tcp://localhost:1", "--unix", path)
        thread.join(PATIENCE)
    lab.fails(NO_CONNECTION, "does not exist", "tcp://localhost:1", "--unix", lab.folder / "none")


def the_negotiated_parameters_are_printed(lab):
    lab.needs_tls()
    trust = ("--cacert", lab.authority)
    messages = lab.echoes(lab.secure, *trust, "-v", "--tls-max", "1.2")
    assert "TLSv1.2" in messages and "ALPN: none" in messages and "tls " in messages, messages
    assert f"sent {len(DATA)} bytes" in messages, messages
    lab.tls.set_alpn_protocols(["echo"])
    messages = lab.echoes(lab.secure, *trust, "-v", "--tls-min", "1.3", "--alpn", "other,echo")
    assert "TLSv1.3" in messages and "ALPN: echo" in messages, messages
    keys = lab.folder / "keys"
    os.environ["SSLKEYLOGFILE"] = str(keys)
    lab.echoes(lab.secure, *trust)
    del os.environ["SSLKEYLOGFILE"]
    assert "CLIENT_TRAFFIC_SECRET_0" in keys.read_text()
    lab.fails(ARGUMENTS, "--tls-min is above", lab.secure, "--tls-min", "1.3", "--tls-max", "1.2")


def pinned_keys(lab):
    lab.needs_tls()
    der = subprocess.run(f"openssl pkey -in {lab.key} -pubout -outform DER | "
                         "openssl dgst -sha256 -binary | openssl base64", shell=True, check=True,
                         capture_output=True, text=True).stdout.strip()
    lab.echoes(lab.secure, "--insecure", "--pinned", "sha256//" + der)
    other = "sha256//" + "A" * 43 + "="
    lab.fails(CERTIFICATE, "--pinned", lab.secure, "--insecure", "--pinned", other)


def progress_on_a_terminal(lab):
    ours, theirs = pty.openpty()
    with tempfile.TemporaryFile() as source:
        source.write(DATA)
        source.seek(0)
        done = subprocess.run(lab.command(lab.plain), stdin=source, stdout=subprocess.PIPE,
                              stderr=theirs, check=False, timeout=60)
    os.close(theirs)
    messages = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while more := os.read(ours, 65536):
            messages += more
    os.close(ours)
    assert done.returncode == 0 and done.stdout == GREETING + DATA
    wanted = f"sent {len(DATA)} bytes, received {len(GREETING + DATA)} bytes"
    assert wanted.encode() in messages, messages
    assert lab.send(lab.plain)[1] == "", "progress was printed without a terminal"


def terminal_as_input(lab):
    """The server's end ends the program, although the terminal is still open."""
    ours, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(
            lab.command(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), stdin=theirs,
            stdout=subprocess.PIPE) as process:
        with listener.accept()[0] as peer:
            os.write(ours, b"typed\n")
            assert peer.recv(100) == b"typed\n"
            peer.sendall(b"received\n")
        assert process.communicate(timeout=PATIENCE)[0] == b"received\n"
        assert process.returncode == 0
    os.close(ours)
    os.close(theirs)


CASES = [
    (bytes_are_transferred_both_ways, sys.executable), (a_closed_standard_input_is_empty, "sh"),
    (quit_after_ends_the_program, sys.executable), (memory_use_is_bounded, sys.executable),
    (an_output_that_is_not_read_stops_the_server, sys.executable), (openssl_echoes, "openssl"),
    (gnutls_echoes, "gnutls-serv"), (haproxy_in_front, "haproxy"), (stunnel_in_front, "stunnel"),
    (tinyproxy, "tinyproxy"), (squid, "squid"), (microsocks, "microsocks"), (dante, "danted"),
    (ssh_dynamic_forwarding, "sshd"), (options_set_the_addresses, sys.executable),
    (unix_socket, sys.executable), (the_negotiated_parameters_are_printed, sys.executable),
    (pinned_keys, "openssl"), (progress_on_a_terminal, sys.executable),
    (terminal_as_input, sys.executable),
]

if __name__ == "__main__":
    sys.exit(send_lab.main("send interop", CASES, sys.argv[1:]))
