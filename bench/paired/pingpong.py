"""The echo servers: 64 bytes travel there and back on 1 to 4096 connections."""

from .contest import Case, per_operation
from .load import Load
from .processes import Child, processors, require

SERVERS = ("uaio", "liburing", "liburing_multishot", "epoll", "asio", "asio_io_uring", "libuv",
           "libevent", "nng")
CONNECTIONS = (1, 64, 512, 4096)
BYTES = 64
# The buffers of a server have room for more than a small message: libuv receives again, in vain,
# when a message has filled its buffer. Larger messages come in parts.
BUFFER_MIN = 1 << 10
BUFFER_MAX = 64 << 10


def start_server(stack, build, name, size):
    """Returns the process and its port."""
    program = require(build / f"bench/echo_{name}")
    buffer = min(max(size, BUFFER_MIN), BUFFER_MAX)
    child = stack.enter_context(Child([program, buffer], processors()[0]))
    return child, int(child.read_line())


def contender(build, name, connections, size):
    def start(stack):
        server, port = start_server(stack, build, name, size)
        load = Load(stack, build, port, connections, bytes(size), size)
        return per_operation(server, load.closed)
    return start


def case(build, name, servers, connections, size, is_long=False):
    return Case(name, {server: contender(build, server, connections, size) for server in servers},
                is_long)


def cases(build):
    return [case(build, str(number), SERVERS, number, BYTES) for number in CONNECTIONS]
