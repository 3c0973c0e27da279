#!/usr/bin/env python3
"""Many HTTP clients that are slow on purpose, as the attack named Slowloris has them.

    tests/support/slow_heads.py PORT [--connections N] [--rate R] [--seconds S] [--again]

Each connection sends the beginning of a request's head, then a byte of one of its fields every S
seconds, and never the end. It does not go by itself, and sends on after it was answered: the server
has to close it. Prints "open" when all connections are there. Without --again it ends when the
server has closed all of them; with it, a closed connection is replaced at once, and the program
ends when its input does. Then it prints a line of JSON: how many connections were made, answered
with 408 and closed by the server, and the seconds from a connection's first byte to its answer and
to its end: the least, the median, the 99th percentile and the most. Connections are spread over
several addresses of the loopback, whose ports would not suffice; they begin at most R a second, and
their bytes are spread evenly over time.
"""

import argparse
import contextlib
import json
import os
import resource
import select
import socket
import sys
import time

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
ADDRESSES = 8  # 127.0.0.2 and so on
TURN = 0.0005  # seconds between two looks at the clock: what is due since the last one, goes out
AT_ONCE = 64  # connections begun in a turn; a listener's queue is not for more


class Client:
    """One connection."""

    def __init__(self, port, number):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((f"127.0.0.{2 + number % ADDRESSES}", 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.answer = b""
        self.answered = None
        self.began = time.monotonic()
        self.send(HEAD)

    def send(self, data):
        with contextlib.suppress(OSError):  # if it is over, its end is there to be read
            self.socket.send(data)

    def read(self):
        """False at the end."""
        try:
            got = self.socket.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if got and self.answered is None:
            self.answered = time.monotonic()
        self.answer += got
        return bool(got)


class Attack:
    def __init__(self, chosen):
        self.chosen = chosen
        self.poll = select.epoll()
        self.clients = {}  # by descriptor
        self.made = self.denied = self.closed = 0
        self.answer_times, self.end_times = [], []

    def open_some(self, most):
        for _ in range(most):
            client = Client(self.chosen.port, self.made)
            self.made += 1
            self.clients[client.socket.fileno()] = client
            self.poll.register(client.socket, select.EPOLLIN)

    def watch(self):
        """Notes answers and ends; False when the program's input has ended."""
        goes_on = True
        for descriptor, _ in self.poll.poll(0):
            client = self.clients.get(descriptor)
            if client is None:
                goes_on = False
            elif not client.read():
                self.end(descriptor)
        return goes_on

    def end(self, descriptor):
        client = self.clients.pop(descriptor)
        self.closed += 1
        self.end_times.append(time.monotonic() - client.began)
        if client.answered is not None:
            self.answer_times.append(client.answered - client.began)
        self.denied += client.answer.startswith(b"HTTP/1.1 408 ")
        client.socket.close()

    def run(self):
        """Connections that are missing, and a byte from each in turn, as time has passed for."""
        chosen = self.chosen
        turns, due, owed, said = [], 0.0, 0.0, False
        last = time.monotonic()
        if chosen.again:
            self.poll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        while self.watch():
            if said and not self.clients:
                return
            time.sleep(TURN)
            now = time.monotonic()
            passed, last = now - last, now
            missing = chosen.connections - (len(self.clients) if chosen.again else self.made)
            due = min(due + passed * chosen.rate, missing, AT_ONCE)
            self.open_some(int(due))
            due -= int(due)
            if not said and self.made >= chosen.connections:
                said = True
                print("open", flush=True)
            owed += passed * len(self.clients) / chosen.seconds
            while owed >= 1:
                owed -= 1
                turns = turns or list(self.clients.values())
                if turns:
                    turns.pop().send(b"a")

    def report(self):
        return {"made": self.made, "denied": self.denied, "closed": self.closed,
                "answered_after": spread(self.answer_times), "closed_after": spread(self.end_times)}


def spread(times):
    times = sorted(times) or [0]
    return [round(times[int(part * (len(times) - 1))], 4) for part in (0, 0.5, 0.99, 1)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--again", action="store_true")
    chosen = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attack = Attack(chosen)
    attack.run()
    print(json.dumps(attack.report()), flush=True)


if __name__ == "__main__":
    main()
