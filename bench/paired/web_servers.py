"""The HTTP servers: uaio's, and Debian's nginx, h2o and haproxy, each one process with one thread.
They serve /fixed, 13 bytes, and the files of a folder, over TLS too."""

import contextlib
import functools
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

from .processes import Child, Failure, Unavailable, free_port, processors, require, wait_for

CONTENT = b"hello, world\n"

NGINX = """
daemon off; master_process off; pid {own}/pid; error_log /dev/null;
events {{ worker_connections 16384; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; {cache}
  client_body_temp_path {own}; proxy_temp_path {own}; fastcgi_temp_path {own};
  uwsgi_temp_path {own}; scgi_temp_path {own};
  default_type application/octet-stream;
  ssl_protocols TLSv1.3;
  server {{ listen 127.0.0.1:{port} {tls}; root {files};
            location = /fixed {{ default_type text/plain; return 200 "hello, world\\n"; }} }}
}}
"""
NGINX_TLS = "ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem"
NGINX_CACHE = ("open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s; "
               "open_file_cache_min_uses 1;")
# /fixed is a file of 13 bytes: h2o keeps open files, and its scripts are slower than that.
H2O = """
num-threads: 1
error-log: /dev/null
max-connections: 16384
http1-request-timeout: 60
listen:
  host: 127.0.0.1
  port: {port}
{tls}
hosts:
  default:
    paths:
      "/":
        file.dir: {files}
        file.mime.setdefaulttype: "application/octet-stream"
"""
H2O_TLS = """  ssl:
    certificate-file: {folder}/cert.pem
    key-file: {folder}/key.pem
    minimum-version: TLSv1.3
"""
HAPROXY = """
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 60s
frontend fixed
  bind 127.0.0.1:{port} {tls}
  http-request return status 200 content-type text/plain string "hello, world\\n"
"""
HAPROXY_TLS = "ssl crt {folder}/both.pem ssl-min-ver TLSv1.3"


class Folder:
    """A temporary folder with the served files in files/, and the certificate and its key."""

    def __init__(self, stack):
        self.path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uaio-bench-")))
        self.path.chmod(0o755)
        self.files = self.path / "files"
        self.files.mkdir()
        (self.files / "fixed").write_bytes(CONTENT)

    @functools.cached_property
    def certificate(self):
        """Makes the key for this run, an ECDSA one; returns the two files."""
        certificate, key = self.path / "cert.pem", self.path / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
            check=True, capture_output=True)
        (self.path / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        return certificate, key


def configured(stack, name, folder, tls):
    """Starts a server that takes its port from a file."""
    program = {"nginx_cache": "nginx"}.get(name, name)
    own = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder.path)))
    template, tls_part = {"nginx": (NGINX, NGINX_TLS), "h2o": (H2O, H2O_TLS),
                          "haproxy": (HAPROXY, HAPROXY_TLS)}[program]
    if tls:
        require("openssl")
        assert folder.certificate
    port = free_port()
    file = own / "configuration"
    file.write_text(template.format(
        port=port, own=own, files=folder.files, cache=NGINX_CACHE if name == "nginx_cache" else "",
        tls=tls_part.format(folder=folder.path) if tls else ""))
    command = {"nginx": ["nginx", "-p", own, "-c", file], "h2o": ["h2o", "-c", file],
               "haproxy": ["haproxy", "-db", "-f", file]}[program]
    # Debian installs haproxy where only root's PATH leads.
    path = os.environ["PATH"] + ":/usr/sbin"
    command[0] = shutil.which(command[0], path=path)
    if not command[0]:
        raise Unavailable(f"no {program}")
    child = stack.enter_context(Child(command, processors()[0]))
    wait_for(child, port)
    return child, port


def start(stack, build, name, folder, tls=False):
    """Starts a server; returns its process and its port."""
    if name not in ("uaio", "liburing"):
        return configured(stack, name, folder, tls)
    command = [require(build / "bench/http_liburing")]
    if name == "uaio":
        command = [require(build / "bench/server_uaio"), folder.files]
        command += folder.certificate if tls else []
    child = stack.enter_context(Child(command, processors()[0]))
    return child, int(child.read_line())


def request(path, closes=False):
    last = "Connection: close\r\n" if closes else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n".encode()


def exchange(port, sent, content, tls=False):
    """Sends a request; returns the size of the response. Fails if that is not 200 with `content`,
    so that all servers of a case do the same work."""
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            peer = stack.enter_context(context.wrap_socket(peer))
            if peer.version() != "TLSv1.3":
                raise Failure(f"a server speaks {peer.version()}")
        peer.sendall(sent)
        received = bytearray()
        head = size = None
        while size is None or len(received) < size:
            part = peer.recv(1 << 20)
            if not part:
                break
            received += part
            if size is None and b"\r\n\r\n" in received:
                head, _, _ = bytes(received).partition(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
                size = len(head) + 4 + (int(length[1]) if length else 0)
    if not size or not head.startswith(b"HTTP/1.1 200 ") or received[len(head) + 4:] != content:
        raise Failure(f"a server responds with {bytes(received[:200])}")
    return len(received)
