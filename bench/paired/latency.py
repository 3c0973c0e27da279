"""The latency of requests that are due at random times, whatever the server does, at 30, 60 and 80
percent of capacity: that of the slowest contender, so that no server is overloaded and all have the
same rate."""

from . import pingpong, web, web_servers
from .contest import Case, Figure
from .load import Load

PERCENT = (30, 60, 80)
CONNECTIONS = 64
# A 99.9th percentile needs more requests than a mean.
LONGER = 4
KINDS = ("p50", "p99", "p99.9")
SERVERS = tuple(name for name in pingpong.SERVERS if name != "liburing_multishot")


class Rate:
    """Requests a second of one case."""

    def __init__(self, percent):
        self.percent = percent
        self.capacities = []

    def measure(self, load):
        responses, nanoseconds = load.closed(200)
        self.capacities.append(responses * 1e9 / nanoseconds)

    def sampler(self, load):
        self.measure(load)

        def sample(milliseconds):
            rate = min(self.capacities) * self.percent / 100
            _, *percentiles = load.open(rate, milliseconds * LONGER)
            return [Figure(latency, kind, "real_time")
                    for latency, kind in zip(percentiles, KINDS)]
        return sample


def echo(build, name, rate):
    def start(stack):
        _, port = pingpong.start_server(stack, build, name, pingpong.BYTES)
        size = pingpong.BYTES
        return rate.sampler(Load(stack, build, port, CONNECTIONS, bytes(size), size))
    return start


def http(build, name, rate):
    def start(stack):
        _, port = web_servers.start(stack, build, name, web_servers.Folder(stack))
        sent = web_servers.request("/fixed")
        size = web_servers.exchange(port, sent, web_servers.CONTENT)
        return rate.sampler(Load(stack, build, port, CONNECTIONS, sent, size))
    return start


def cases(build):
    def case(group, percent, contender, servers):
        rate = Rate(percent)
        return Case(f"{group}/{percent}%",
                    {server: contender(build, server, rate) for server in servers},
                    is_long=percent != PERCENT[0])
    return [case("pingpong", percent, echo, SERVERS) for percent in PERCENT] + [
        case("http", percent, http, web.SERVERS) for percent in PERCENT]
