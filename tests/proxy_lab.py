"""Shared by the tests with real proxies: a server that greets and echoes, certificates, and
Debian's proxies, started on loopback ports chosen by the kernel, with secrets made here.
"""

import contextlib
import getpass
import hashlib
import os
import re
import secrets
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from lab import Programs, Skip, answers, free_port, run, wait_until

GREETING = b"hello from this server\n"


def serve_one(peer, tls, limit):
    with contextlib.suppress(OSError), peer if not tls else tls.wrap_socket(
            peer, server_side=True) as peer:
        peer.sendall(GREETING)
        while limit > 0 and (data := peer.recv(65536)):
            peer.sendall(data)
            limit -= len(data)
        if tls:
            peer.unwrap()


def echo_server(stack, tls=None, limit=float("inf")):
    """The port of a server that greets, echoes `limit` bytes, and closes; over TLS if there is a
    context."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer = listener.accept()[0]
                threading.Thread(target=serve_one, args=(peer, tls, limit), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Lab(Programs):
    """The echo servers, and the users and certificates for the proxies."""

    def __init__(self, build, folder, stack):
        super().__init__(build, folder, stack)
        self.user, self.password = "user" + secrets.token_hex(3), secrets.token_hex(8)
        self.login = f"{self.user}:{self.password}@"
        self.echo = echo_server(stack)
        config = (build / "include" / "uaio" / "config.h").read_text()
        self.has_tls = re.search(r"kTls = (\w+)", config)[1] == "true"
        if self.has_tls:
            self.make_certificates()
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(self.chain, self.key)
            self.tls_echo = echo_server(stack, self.tls)

    def make_certificates(self):
        """An authority, and a certificate that it signed for localhost and 127.0.0.1."""
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
        self.key.chmod(0o644)  # squid drops root's privileges

    def needs_tls(self):
        if not self.has_tls:
            raise Skip("the build option tls is off")


def needs_root(what):
    if os.geteuid() != 0:
        raise Skip(f"the kernel allows only root to {what}")


# ---- the proxies: each function returns the port ----

def start_tinyproxy(lab):
    """Requires lab.user and lab.password."""
    port = free_port()
    path = lab.write(f"tinyproxy-{port}.conf", f"""
User nobody
Group nogroup
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
MaxClients 50
BasicAuth {lab.user} {lab.password}
""")
    return lab.start(["tinyproxy", "-d", "-c", path], port=port)


def start_squid(lab, name, access, more=""):
    """Squid with these lines of access rules."""
    port = free_port()
    path = lab.write(f"squid-{port}.conf", f"""
http_port 127.0.0.1:{port}
{more}
{access}
cache deny all
pid_filename none
access_log none
cache_log /dev/null
netdb_filename none
shutdown_lifetime 0 seconds
coredump_dir {lab.folder}
""")
    return lab.start(["squid", "-N", "-n", name, "-f", path], port=port)


WITH_PASSWORD = """
acl authed proxy_auth REQUIRED
http_access allow authed
http_access deny all
"""


def start_squid_with_basic(lab):
    hashed = subprocess.run(["openssl", "passwd", "-apr1", lab.password], capture_output=True,
                            text=True, check=True).stdout.strip()
    passwords = lab.write("htpasswd", f"{lab.user}:{hashed}\n")
    return start_squid(
        lab, "basic",
        f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}" + WITH_PASSWORD)


def start_squid_with_digest(lab):
    secret = hashlib.md5(f"{lab.user}:realm:{lab.password}".encode()).hexdigest()
    passwords = lab.write("htdigest", f"{lab.user}:realm:{secret}\n")
    return start_squid(
        lab, "digest",
        f"auth_param digest program /usr/lib/squid/digest_file_auth -c {passwords}\n"
        "auth_param digest realm realm" + WITH_PASSWORD)


def start_squid_inside_tls(lab):
    """Allows all clients; the certificate is for localhost."""
    port = free_port()
    start_squid(lab, "secure", "http_access allow all",
                f"https_port 127.0.0.1:{port} tls-cert={lab.chain} tls-key={lab.key}")
    wait_until(lambda: answers(port), f"squid does not listen on {port}")
    return port


def start_microsocks(lab, *more):
    port = free_port()
    return lab.start(["microsocks", "-i", "127.0.0.1", "-p", port, *more], port=port)


def start_dante(lab):
    needs_root("change the user of the proxy")
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
    return lab.start(["danted", "-f", path, "-p", lab.folder / "danted.pid"], port=port)


def start_ssh_forwarding(lab):
    needs_root("run this sshd")
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
    lab.start(["/usr/sbin/sshd", "-D", "-f", path], port=ssh_port)
    return lab.start(["ssh", "-N", "-F", "none", "-D", f"127.0.0.1:{port}", "-p", ssh_port, "-i",
                      lab.folder / "user_key", "-o", "StrictHostKeyChecking=no", "-o",
                      "UserKnownHostsFile=/dev/null", f"{getpass.getuser()}@127.0.0.1"], port=port)


def start_haproxy(lab, bind, server):
    """Forwards bytes, with these options after the addresses of the two sides."""
    port = free_port()
    path = lab.write(f"haproxy-{port}.cfg", f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen front
  bind 127.0.0.1:{port} {bind}
  server behind 127.0.0.1:{server}
""")
    return lab.start(["haproxy", "-db", "-f", path], port=port)


def start_stunnel(lab, behind, more=""):
    """TLS with the certificate of localhost in front of the server on the port `behind`."""
    return start_stunnel_as(lab, behind, f"cert = {lab.chain}\nkey = {lab.key}\n{more}")


def start_stunnel_client(lab, behind, more=""):
    """Plain bytes in front of a TLS server on the port `behind`, which must be localhost."""
    return start_stunnel_as(lab, behind, f"""
client = yes
sni = localhost
CAfile = {lab.authority}
verifyChain = yes
checkHost = localhost
{more}
""")


def start_stunnel_as(lab, behind, service):
    port = free_port()
    path = lab.write(f"stunnel-{port}.conf", f"""
foreground = yes
pid =
[front]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{behind}
{service}
""")
    return lab.start(["stunnel", path], port=port)
