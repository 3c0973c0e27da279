#!/usr/bin/env python3
"""Real proxies between tests/programs/dial_echo and a server that greets and echoes.

    tests/proxy_interop_test.py BUILD

Proxies from Debian's packages, on loopback ports that the kernel picks, with secrets made here.
Prints a line a case for tests/run.py; a program that is not installed is a skip.
"""

import contextlib
import getpass
import hashlib
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PATIENCE = 20
GREETING = b"hello, whoever you are\n"


class Skip(Exception):
    pass


def wait_until(done, otherwise):
    limit = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < limit, otherwise
        time.sleep(0.02)  # until it is asked again, not until it has happened


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)


def serve_one(peer, tls):
    with contextlib.suppress(OSError), peer if not tls else tls.wrap_socket(
            peer, server_side=True) as peer:
        peer.sendall(GREETING)
        while data := peer.recv(65536):
            peer.sendall(data)


def echo_server(stack, tls=None):
    """The port of a server that greets and echoes, inside TLS if there is a context."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer = listener.accept()[0]
                threading.Thread(target=serve_one, args=(peer, tls), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Lab:
    """Programs that run until the test ends, and files for them."""

    def __init__(self, build, folder, stack):
        self.dial_echo = build / "tests" / "dial_echo"
        self.folder, self.stack = folder, stack
        self.user, self.password = "user" + secrets.token_hex(3), secrets.token_hex(8)
        self.login = f"{self.user}:{self.password}@"
        self.echo = echo_server(stack)
        config = (build / "include" / "uaio" / "config.h").read_text()
        self.has_tls = re.search(r"kTls = (\w+)", config)[1] == "true"
        if self.has_tls:
            self.make_certificates()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.chain, self.key)
            self.tls_echo = echo_server(stack, context)

    def make_certificates(self):
        """An authority, and a certificate of its for localhost and 127.0.0.1."""
        self.authority, self.chain, self.key = (
            self.folder / name for name in ("authority.pem", "chain.pem", "key.pem"))
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        run(*make, "-subj", "/CN=authority", "-keyout", self.folder / "authority.key", "-out",
            self.authority)
        run(*make, "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE",
            "-CA", self.authority, "-CAkey", self.folder / "authority.key", "-keyout", self.key,
            "-out", self.chain)
        self.key.chmod(0o644)  # squid gives up root's rights

    def start(self, *command, port=None):
        log = self.folder / f"{Path(str(command[0])).name}-{port}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen([str(word) for word in command], stdout=output,
                                       stderr=output, stdin=subprocess.DEVNULL)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)

        def ready():
            assert process.poll() is None, f"{command[0]}: {log.read_text()[-500:]}"
            return answers(port)

        wait_until(ready, f"{command[0]} does not listen on {port}")
        return port

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def dial(self, *options, target=None):
        """What dial_echo says."""
        target = target or f"tcp://127.0.0.1:{self.echo}"
        done = subprocess.run([str(self.dial_echo), target, *options], capture_output=True,
                              text=True, timeout=60, check=False)
        return (done.stdout + done.stderr).strip()

    def echoes(self, *options, target=None):
        said = self.dial(*options, target=target)
        assert said.startswith("ok "), f"{options}: {said}"
        if self.has_tls and not target:
            target = f"tls://127.0.0.1:{self.tls_echo}"
            inside = self.dial(*options, f"ca={self.authority}", target=target)
            assert inside.startswith("ok "), f"{options}, inside TLS: {inside}"
        return said

    def needs_tls(self):
        if not self.has_tls:
            raise Skip("the build option tls is off")

    def fails(self, wanted, *options, **more):
        said = self.dial(*options, **more)
        assert said.startswith(f"error {wanted}:"), f"{options}: {said}"


# Codes of ProxyErrc and of Errc, as <uaio/proxy.h> and <uaio/error.h> have them.
CREDENTIALS_REFUSED = "proxy 8"
AUTHENTICATION_REQUIRED = "proxy 7"
CONNECTION_REFUSED = "proxy 17"
REQUEST_REJECTED = "proxy 22"
PROXY_REFUSED = "uaio 14"


def no_proxy_at_all(lab):
    lab.echoes("proxy=")
    lab.echoes("proxy=", target=f"tcp://localhost:{lab.echo}")


def tinyproxy(lab):
    port = free_port()
    path = lab.write("tinyproxy.conf", f"""
User nobody
Group nogroup
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
MaxClients 50
BasicAuth {lab.user} {lab.password}
""")
    lab.start("tinyproxy", "-d", "-c", path, port=port)
    said = lab.echoes(f"proxy=http://{lab.login}127.0.0.1:{port}")
    assert "status=200" in said, said
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=http://127.0.0.1:{port}")
    # It answers 401 to wrong credentials.
    lab.fails(PROXY_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}")
    lab.fails(PROXY_REFUSED, f"proxy=http://{lab.login}127.0.0.1:{port}",
              target=f"tcp://127.0.0.1:{free_port()}")
    lab.http_proxy = f"http://{lab.login}127.0.0.1:{port}"


def squid_config(lab, port, authentication, more=""):
    return lab.write(f"squid-{port}.conf", f"""
http_port 127.0.0.1:{port}
{more}
{authentication}
acl authed proxy_auth REQUIRED
http_access allow authed
http_access deny all
cache deny all
pid_filename none
access_log none
cache_log /dev/null
netdb_filename none
shutdown_lifetime 0 seconds
coredump_dir {lab.folder}
""")


def squid_with_basic(lab):
    port = free_port()
    hashed = subprocess.run(["openssl", "passwd", "-apr1", lab.password], capture_output=True,
                            text=True, check=True).stdout.strip()
    passwords = lab.write("htpasswd", f"{lab.user}:{hashed}\n")
    authentication = ("auth_param basic program /usr/lib/squid/basic_ncsa_auth "
                      f"{passwords}")
    lab.start("squid", "-N", "-n", "basic", "-f", squid_config(lab, port, authentication),
              port=port)
    proxy = f"proxy=http://{lab.login}127.0.0.1:{port}"
    lab.echoes(proxy)
    said = lab.echoes(proxy, "authentication=any")
    assert "status=200" in said, said
    lab.fails(CREDENTIALS_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}")
    lab.fails(CREDENTIALS_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}",
              "authentication=any")
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=http://127.0.0.1:{port}")
    lab.fails(PROXY_REFUSED, proxy, target=f"tcp://127.0.0.1:{free_port()}")


def squid_with_digest(lab):
    lab.needs_tls()
    port = free_port()
    secret = hashlib.md5(f"{lab.user}:realm:{lab.password}".encode()).hexdigest()
    passwords = lab.write("htdigest", f"{lab.user}:realm:{secret}\n")
    authentication = (f"auth_param digest program /usr/lib/squid/digest_file_auth -c {passwords}\n"
                      "auth_param digest realm realm")
    lab.start("squid", "-N", "-n", "digest", "-f", squid_config(lab, port, authentication),
              port=port)
    proxy = f"proxy=http://{lab.login}127.0.0.1:{port}"
    for kind in ("digest", "any"):
        lab.echoes(proxy, f"authentication={kind}")
        lab.fails(CREDENTIALS_REFUSED, f"proxy=http://{lab.user}:wrong@127.0.0.1:{port}",
                  f"authentication={kind}")
    lab.fails(CREDENTIALS_REFUSED, proxy)  # Basic is not what it wants


def squid_inside_tls(lab):
    lab.needs_tls()
    port, plain = free_port(), free_port()
    path = lab.write("squid-tls.conf", squid_config(lab, plain, "", "").read_text().replace(
        "acl authed proxy_auth REQUIRED\nhttp_access allow authed\nhttp_access deny all",
        f"https_port 127.0.0.1:{port} tls-cert={lab.chain} tls-key={lab.key}\n"
        "http_access allow all"))
    lab.start("squid", "-N", "-n", "secure", "-f", path, port=port)
    proxy = f"proxy=https://localhost:{port}"
    lab.echoes(proxy, f"ca={lab.authority}")  # and TLS in TLS
    lab.fails("tls 4", proxy)
    lab.echoes(proxy, "verify=off")
    lab.fails(PROXY_REFUSED, proxy, f"ca={lab.authority}", target=f"tcp://127.0.0.1:{free_port()}")


def microsocks(lab):
    port = free_port()
    lab.start("microsocks", "-i", "127.0.0.1", "-p", port, port=port)
    for kind in ("socks5", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}")
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}", target=f"tcp://localhost:{lab.echo}",
                   *(["resolve=localhost:%d:127.0.0.1" % lab.echo] if kind == "socks5" else []))
    lab.fails(CONNECTION_REFUSED, f"proxy=socks5h://127.0.0.1:{port}",
              target=f"tcp://127.0.0.1:{free_port()}")
    lab.socks_proxy = f"socks5h://127.0.0.1:{port}"
    if hasattr(lab, "http_proxy"):  # a pre-proxy, and then a real HTTP proxy
        lab.echoes(f"proxy={lab.http_proxy}", f"pre_proxy={lab.socks_proxy}")


def microsocks_with_password(lab):
    port = free_port()
    lab.start("microsocks", "-i", "127.0.0.1", "-p", port, "-u", lab.user, "-P", lab.password,
              port=port)
    lab.echoes(f"proxy=socks5h://{lab.login}127.0.0.1:{port}")
    lab.fails(CREDENTIALS_REFUSED, f"proxy=socks5h://{lab.user}:wrong@127.0.0.1:{port}")
    lab.fails(AUTHENTICATION_REQUIRED, f"proxy=socks5h://127.0.0.1:{port}")


def dante(lab):
    if os.geteuid() != 0:
        raise Skip("the kernel lets only root give it its users")
    port = free_port()
    path = lab.write("danted.conf", f"""
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: lo
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{
  from: 127.0.0.0/8 to: 0.0.0.0/0
}}
socks pass {{
  from: 127.0.0.0/8 to: 0.0.0.0/0
}}
""")
    lab.start("danted", "-f", path, "-p", lab.folder / "danted.pid", port=port)
    for kind in ("socks4", "socks5", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}")
    # It does not know 4a.
    lab.fails(REQUEST_REJECTED, f"proxy=socks4a://127.0.0.1:{port}",
              target=f"tcp://localhost:{lab.echo}")


def ssh_dynamic_forwarding(lab):
    if os.geteuid() != 0:
        raise Skip("the kernel lets only root run this sshd")
    for name in ("host_key", "user_key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", lab.folder / name)
    ssh_port, port = free_port(), free_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    path = lab.write("sshd_config", f"""
Port {ssh_port}
ListenAddress 127.0.0.1
HostKey {lab.folder}/host_key
AuthorizedKeysFile {lab.folder}/user_key.pub
StrictModes no
UsePAM no
PidFile none
""")
    lab.start("/usr/sbin/sshd", "-D", "-f", path, port=ssh_port)
    lab.start("ssh", "-N", "-F", "none", "-D", f"127.0.0.1:{port}", "-p", ssh_port, "-i",
              lab.folder / "user_key", "-o", "StrictHostKeyChecking=no", "-o",
              "UserKnownHostsFile=/dev/null", f"{getpass.getuser()}@127.0.0.1", port=port)
    for kind in ("socks4", "socks4a", "socks5", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}")
    for kind in ("socks4a", "socks5h"):
        lab.echoes(f"proxy={kind}://127.0.0.1:{port}", target=f"tcp://localhost:{lab.echo}")


def haproxy_accepts_the_proxy_header(lab):
    port = free_port()
    path = lab.write("haproxy.cfg", f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen front
  bind 127.0.0.1:{port} accept-proxy
  server echo 127.0.0.1:{lab.echo}
""")
    lab.start("haproxy", "-db", "-f", path, port=port)
    target = f"tcp://127.0.0.1:{port}"
    for version in ("v1", "v2"):
        lab.echoes("proxy=", f"header={version}", target=target)
        if hasattr(lab, "socks_proxy"):
            lab.echoes(f"proxy={lab.socks_proxy}", f"header={version}", target=target)
    said = lab.dial("proxy=", target=target)
    assert said.startswith("error uaio"), said


CASES = [
    (no_proxy_at_all, sys.executable), (tinyproxy, "tinyproxy"), (squid_with_basic, "squid"),
    (squid_with_digest, "squid"), (squid_inside_tls, "squid"), (microsocks, "microsocks"),
    (microsocks_with_password, "microsocks"), (dante, "danted"),
    (ssh_dynamic_forwarding, "sshd"), (haproxy_accepts_the_proxy_header, "haproxy"),
]


def main():
    build = Path(sys.argv[1]).resolve()
    os.environ["PATH"] += ":/usr/sbin"
    failed = False
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        lab = Lab(build, folder, stack)
        for case, program in CASES:
            title = "proxy interop: " + case.__name__.replace("_", " ")
            if not shutil.which(program):
                print(f"skip {title}: {program} is not installed", flush=True)
                continue
            try:
                case(lab)
                print(f"ok {title}", flush=True)
            except Skip as why:
                print(f"skip {title}: {why}", flush=True)
            except Exception as error:  # whatever goes wrong is this case's alone
                failed = True
                print(f"not ok {title}: {' '.join(str(error).split())[:600]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
