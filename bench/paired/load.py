"""The load: bench/load on the other processor, which sends one request after another on each of its
connections."""

import tempfile

from .processes import Child, processors, require


class Load:
    """Connections to one server."""

    def __init__(self, stack, build, port, connections, request, response, kind="",
                 processor=None):
        """`kind`: "close" if the server ends each connection after its response, or "tls"."""
        self.file = stack.enter_context(tempfile.NamedTemporaryFile())
        self.file.write(request)
        self.file.flush()
        command = [require(build / "bench/load"), port, connections, self.file.name, response]
        command += [kind] if kind else []
        other = processors()[1] if processor is None else processor
        self.child = stack.enter_context(Child(command, other))
        self.child.read_line()

    def closed(self, milliseconds):
        """Each connection sends its next request after the response. Returns the number of
        responses and their nanoseconds."""
        return self.child.ask(f"closed {milliseconds}")

    def open(self, rate, milliseconds):
        """Requests are due at random times, `rate` a second. Returns their number and three
        percentiles of the latency, in nanoseconds."""
        return self.child.ask(f"open {rate} {milliseconds}")
