"""The cost of an echo as the number of connections or the size of the messages grows."""

from . import pingpong

SERVERS = ("uaio", "liburing", "epoll", "asio", "libuv", "libevent", "nng")
CONNECTIONS = (1, 10, 100, 1000, 10_000)
BYTES = {"64B": 64, "1KiB": 1 << 10, "16KiB": 16 << 10, "256KiB": 256 << 10, "1MiB": 1 << 20,
         "16MiB": 16 << 20}


def cases(build):
    connections = [
        pingpong.case(build, f"connections/{number}", SERVERS, number, pingpong.BYTES,
                      is_long=number > 10) for number in CONNECTIONS]
    sizes = [
        pingpong.case(build, f"bytes/{name}", SERVERS, 1, size,
                      is_long=size not in (1 << 10, 256 << 10)) for name, size in BYTES.items()]
    return connections + sizes
