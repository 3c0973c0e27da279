"""Groups that measure the calling side: writes from another thread (cross_thread), and an HTTP
client (http_client)."""

from . import web_servers
from .contest import Case, Figure, per_operation
from .load import Load
from .processes import Child, processors, require

WRITERS = ("uaio", "send", "nng", "asio")
# The medians that a writer prints: of a write with its wait, of the call alone, and of the time
# from the call to the completion.
KINDS = ("write_wait", "write", "write_done")
CLIENTS = ("uaio", "liburing", "curl")
CONNECTIONS = 64


def writer(build, name, kind):
    def start(stack):
        program = require(build / f"bench/cross_thread_{name}")
        # The scheduler places the threads.
        child = stack.enter_context(Child([program], f"{processors()[0]},{processors()[1]}"))
        child.read_line()

        def sample(milliseconds):
            _, *medians = child.ask(f"{milliseconds}")
            return [Figure(medians[KINDS.index(kind)], clock="real_time")]
        return sample
    return start


def cross_thread_cases(build):
    return [Case(kind, {name: writer(build, name, kind) for name in WRITERS}) for kind in KINDS]


def client(build, name):
    def start(stack):
        server = require(build / "bench/http_liburing")
        server = stack.enter_context(Child([server], processors()[1]))
        port = int(server.read_line())
        if name == "liburing":  # the load of the other groups is a client without a parser
            request = web_servers.request("/fixed")
            size = web_servers.exchange(port, request, web_servers.CONTENT)
            load = Load(stack, build, port, CONNECTIONS, request, size,
                        processor=processors()[0])
            return per_operation(load.child, load.closed)
        program = require(build / f"bench/http_client_{name}")
        child = stack.enter_context(Child([program, port, CONNECTIONS], processors()[0]))
        child.read_line()
        return per_operation(child, lambda milliseconds: child.ask(f"closed {milliseconds}"))
    return start


def http_client_cases(build):
    return [Case(str(CONNECTIONS), {name: client(build, name) for name in CLIENTS})]
