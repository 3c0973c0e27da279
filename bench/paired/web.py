"""HTTP servers: a fixed response of 13 bytes (group http), and files (group files)."""

from . import web_servers
from .contest import Case, per_operation
from .load import Load

SERVERS = ("uaio", "liburing", "nginx", "h2o", "haproxy")
TLS_SERVERS = ("uaio", "nginx", "h2o", "haproxy")
FILE_SERVERS = ("uaio", "nginx", "nginx_cache", "h2o")
PIPELINED = 16
FILES = {"4KiB": 4 << 10, "100KiB": 100 << 10, "1MiB": 1 << 20, "100MiB": 100 << 20}


def contender(build, name, connections, path, content, requests=1, kind=""):
    """`kind` is "", "close" or "tls"; with several `requests`, one write carries them."""
    def start(stack):
        folder = web_servers.Folder(stack)
        if path != "/fixed":
            (folder.files / path[1:]).write_bytes(content)
        server, port = web_servers.start(stack, build, name, folder, kind == "tls")
        sent = web_servers.request(path, kind == "close")
        size = web_servers.exchange(port, sent, content, kind == "tls")
        load = Load(stack, build, port, connections, sent * requests, size * requests, kind)
        return per_operation(server, load.closed, lambda answer: answer[0] * requests)
    return start


def http_cases(build):
    def case(name, servers, connections, **options):
        return Case(name, {server: contender(build, server, connections, "/fixed",
                                             web_servers.CONTENT, **options)
                           for server in servers})
    closing = [server for server in SERVERS if server != "liburing"]  # it keeps all connections
    return [case("fixed/64", SERVERS, 64), case("fixed/512", SERVERS, 512),
            case("pipelined/64", SERVERS, 64, requests=PIPELINED),
            case("no_keepalive/64", closing, 64, kind="close"),
            case("tls/64", TLS_SERVERS, 64, kind="tls")]


def file_cases(build):
    def case(name, size, connections):
        content = bytes(range(256)) * (size // 256)
        return Case(f"{name}/{connections}",
                    {server: contender(build, server, connections, "/" + name, content)
                     for server in FILE_SERVERS}, is_long=size * connections > 1 << 30)
    return [case(name, size, connections) for name, size in FILES.items()
            for connections in (1, 64)]
