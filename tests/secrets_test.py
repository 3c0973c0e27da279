#!/usr/bin/env python3
"""No secret in the output of uaio-send and uaio-serve, nor in their command lines once they run.

    tests/secrets_test.py BUILD

Each run gets marked secrets where a user could put some, rightly or by mistake, and fails in one
way or another. Prints a line a case for tests/run.py.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from lab import PATIENCE, Programs, Skip, run_cases

MARK = "s3cr3tMARK"
URL = f"http://user:{MARK}@127.0.0.1:1/{MARK}?token={MARK}#{MARK}"
PEM = f"\n-----BEGIN PRIVATE KEY-----\n{MARK}{MARK}{MARK}\n-----END PRIVATE KEY-----\n"
ANSWERS = [
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"r\"\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"",
]


def check(text, where):
    """The check of every case; a_secret_is_found tests it."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    assert MARK not in text, f"{where}: {text.replace(MARK, 'THE SECRET')[:300]}"


class Lab(Programs):
    @property
    def has_tls(self):
        config = (self.build / "include" / "uaio" / "config.h").read_text()
        return "kTls = true" in config

    def send(self, *arguments, **environment):
        """Runs uaio-send, which must fail, and checks its output."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.lower().endswith("_proxy")} | environment
        done = subprocess.run([self.build / "tools" / "uaio-send", "-v", *arguments],
                              input=b"x", capture_output=True, check=False, timeout=PATIENCE,
                              env=environment)
        check(done.stderr + done.stdout, f"uaio-send {' '.join(map(str, arguments))}")
        assert done.returncode > 0, f"uaio-send {arguments} succeeded"
        return done

    def proxy(self, answer):
        """Starts a proxy that sends `answer` to each request, and closes; returns its port."""
        listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        peer.recv(65536)
                        peer.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]


def a_secret_is_found(_):
    output = subprocess.run(["sh", "-c", f"echo {MARK} >&2"], capture_output=True,
                            check=True).stderr
    try:
        check(output, "on purpose")
    except AssertionError as error:
        assert MARK not in str(error)
        return
    raise AssertionError("the check finds nothing")


def errors_quote_no_password_of_a_target_or_proxy(lab):
    urls = [URL, f"user:{MARK}@127.0.0.1:1", f"tcp://user:{MARK}@127.0.0.1:1",
            f"https://user:{MARK[:4]}/{MARK}@127.0.0.1:1", f"tls://{MARK}@127.0.0.1:1",
            f"nonsense://user:{MARK}@host", f"http://user:{MARK}@", f"http://[{MARK}@::1]:1",
            f"http://127.0.0.1:1/?token={MARK}", f"http://127.0.0.1:1/#{MARK}",
            f"http://user:{MARK}@127.0.0.1:99999", f"http://user:x y{MARK}@127.0.0.1:1"]
    for url in urls:
        lab.send(url)
        for option in ("--proxy", "--pre-proxy"):
            lab.send("tcp://127.0.0.1:1", option, url)
            lab.send("tcp://127.0.0.1:1", f"{option}={url}")
        for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
            lab.send("http://127.0.0.1:1", **{name: url})


def a_refusal_by_a_proxy_reveals_no_password(lab):
    for answer in ANSWERS:
        port = lab.proxy(answer)
        for scheme in ("http", "https", "socks4", "socks5", "socks5h"):
            for kind in ("basic", "digest", "any"):
                lab.send("tcp://127.0.0.1:1", "--proxy", f"{scheme}://user:{MARK}@127.0.0.1:{port}",
                         "--proxy-auth", kind, "--proxy-field", f"Cookie: {MARK}")


def errors_quote_no_invalid_value_of_an_option(lab):
    for option in ("--proxy-auth", "--proxy-field", "--resolve", "--connect-to", "--cert", "--key",
                   "--cacert", "--proxy-cacert"):
        for value in (f"user:{MARK}@host", f"Authorization {MARK}\n", PEM,
                      f"-----BEGIN KEY-----{MARK}", PEM.replace("\n", "\r\n")):
            # The names of files are quoted, unless they have the form of a key.
            if option in ("--cert", "--key", "--cacert", "--proxy-cacert") and "---" not in value:
                continue
            more = ["--cert", "/nowhere"] if option == "--key" else []
            more += ["--key", "/nowhere"] if option == "--cert" else []
            lab.send("tls://127.0.0.1:1", "--proxy", "https://127.0.0.1:1", option, value, *more)


def a_server_prints_no_keys(lab):
    for arguments in (["--tls-cert", PEM, "--tls-key", PEM], ["--tls-cert", "/nowhere", "--tls-key",
                      PEM], ["--tls-key", PEM], [PEM, "more"]):
        done = subprocess.run([lab.build / "tools" / "uaio-serve", "--port", "0", *arguments,
                               lab.folder], capture_output=True, check=False, timeout=PATIENCE)
        check(done.stderr + done.stdout, "uaio-serve")
        assert done.returncode in (1, 2), done.returncode


def an_access_log_has_no_secret_of_a_request(lab):
    with subprocess.Popen([lab.build / "tools" / "uaio-serve", "--port", "0", "--log", lab.folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        lab.stack.callback(server.kill)
        port = int(server.stdout.readline().split("127.0.0.1:")[1].split("/")[0])
        for target in (f"/path?token={MARK}", f"http://127.0.0.1/path?token={MARK}", "/path"):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
                peer.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {MARK}\r\n"
                             f"Authorization: Basic {MARK}\r\nReferer: http://h/?{MARK}\r\n"
                             f"Connection: close\r\n\r\n".encode())
                while peer.recv(65536):
                    pass
        server.terminate()
        output = server.communicate(timeout=PATIENCE)[0]
    check(output, "the access log")
    assert output.count("/path 404") == 3, output


def a_program_erases_passwords_in_its_command_line(lab):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"127.0.0.1:{silent.getsockname()[1]}"
        url = f"http://user:{MARK}@{proxy}"
        token = f"http://{MARK}@{proxy}"
        field = f"Cookie: {MARK}"
        for arguments in (["-x", url], [f"-x{url}"], ["-vx", url], [f"--proxy={url}"],
                          ["-x", f"user:{MARK}@{proxy}"], ["-x", token], [f"-vx{token}"],
                          ["--proxy", token], ["-x", f"{MARK}@{proxy}"],
                          ["-x", url, "-x", proxy], ["-x", proxy, "--pre", f"socks5://{MARK}@h:1",
                                                     "--pre", f"socks5://{proxy}"],
                          ["-x", proxy, "--proxy-field", field],
                          ["-x", proxy, f"--proxy-field={field}"],
                          ["-x", proxy, "--proxy-fi", field], ["-x", proxy, f"--proxy-f={field}"],
                          ["-x", proxy, "--key", PEM, "--cert", "/nowhere"]):
            with subprocess.Popen([lab.build / "tools" / "uaio-send", *arguments,
                                   "tcp://127.0.0.1:1"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
                lab.stack.callback(client.kill)
                peer, _ = silent.accept()  # it is running
                command = Path(f"/proc/{client.pid}/cmdline").read_bytes()
                peer.close()
                check(command, "its command line")
                check(client.communicate(timeout=PATIENCE)[1], "its end")


def a_program_erases_the_user_in_its_command_line(lab):
    """Read while uaio-send waits for the authorities, before it refuses the target."""
    if not lab.has_tls:
        raise Skip("the build option tls is off")
    for name, target in enumerate((f"https://{MARK}@127.0.0.1", f"https://user:{MARK}@127.0.0.1",
                                   f"tls://user:a/{MARK}@127.0.0.1:1")):
        authorities = lab.folder / f"authorities{name}"
        os.mkfifo(authorities)
        with subprocess.Popen([lab.build / "tools" / "uaio-send", "--cacert", authorities, target],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
            lab.stack.callback(client.kill)
            with open(authorities, "wb"):  # once it reads
                command = Path(f"/proc/{client.pid}/cmdline").read_bytes()
            check(command, "its command line")
            check(client.communicate(timeout=PATIENCE)[1], "its end")


def a_server_erases_the_key_in_its_command_line(lab):
    if not lab.has_tls:
        raise Skip("the build option tls is off")
    chain = lab.folder / "chain.pem"
    os.mkfifo(chain)
    with subprocess.Popen([lab.build / "tools" / "uaio-serve", "--port", "0", "--tls-cert", chain,
                           "--tls-key", PEM, lab.folder], stderr=subprocess.PIPE) as server:
        lab.stack.callback(server.kill)
        with open(chain, "wb"):
            command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        check(command, "its command line")
        check(server.communicate(timeout=PATIENCE)[1], "its end")


CASES = [(case, sys.executable) for case in (
    a_secret_is_found, errors_quote_no_password_of_a_target_or_proxy,
    a_refusal_by_a_proxy_reveals_no_password, errors_quote_no_invalid_value_of_an_option,
    a_server_prints_no_keys, an_access_log_has_no_secret_of_a_request,
    a_program_erases_passwords_in_its_command_line, a_program_erases_the_user_in_its_command_line,
    a_server_erases_the_key_in_its_command_line)]


def main():
    build = Path(sys.argv[1]).resolve()
    return run_cases("secrets", CASES, lambda folder, stack: Lab(build, folder, stack))


if __name__ == "__main__":
    sys.exit(main())
