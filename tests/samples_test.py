#!/usr/bin/env python3
"""The samples of README.md and docs/guide.md compile against the headers.

    tests/samples_test.py BUILD

Each sample becomes the body of a function whose parameters are what it takes for granted. Prints a
line a case for tests/run.py.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PREAMBLE = """
#include <uaio/aio.h>
#include <uaio/await.h>
#include <uaio/dialer.h>
#include <uaio/easy.h>
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include <unistd.h>

#include <cstdio>
#include <vector>

using namespace std::chrono_literals;
char *head, *middle, *tail;
std::size_t head_size, middle_size, tail_size;
std::span<const std::byte> bytes;
int workers;

struct Session {
    void on_read();
    void on_written();
    uaio::Aio aio_;
    void (Session::*next_)();
    std::vector<char> buffer_;
    uaio::StreamPtr stream_;
};
"""

# What a sample may take for granted, and what shows that it makes its own.
GIVEN = (("uaio::Engine& engine", "uaio::Engine engine"), ("uaio::Aio& aio", "uaio::Aio aio"),
         ("uaio::Endpoint endpoint", "auto endpoint"),
         ("uaio::StreamPtr stream", "StreamPtr stream;"))


def function(number, sample):
    """Definitions of a sample, then the rest of it as a function's body."""
    member = re.match(r"void (on_read\(\))", sample)
    if member:
        return f"void Session::{sample[len('void '):]}"
    before, coroutine, after = sample.partition("\n}\n\n")
    definitions = before + coroutine if "co_await" in before else ""
    body = after if definitions else sample
    given = ", ".join(one for one, own in GIVEN if own not in body)
    is_error = re.search(r"return (error|aio\.result\(\))", body)
    result = "std::error_code" if is_error else "int"
    return f"{definitions}\n{result} sample_{number}({given}) {{\n{body}\nreturn {{}};\n}}\n"


def check(build, page):
    samples = re.findall(r"^```cpp\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert samples, "no sample was found"
    text = PREAMBLE + "".join(function(*one) for one in enumerate(samples))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "samples.cc"
        source.write_text(text)
        done = subprocess.run(
            [*shlex.split(os.environ.get("CXX", "c++")), "-std=c++20", "-fsyntax-only", "-w",
             f"-I{ROOT / 'include'}", f"-I{build / 'include'}", source],
            capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert done.returncode == 0, "; ".join(errors)[:500]


def main():
    build, failed = Path(sys.argv[1]).resolve(), 0
    for page in ("README.md", "docs/guide.md"):
        label = f"the samples of {page} compile"
        try:
            check(build, page)
            print(f"ok {label}", flush=True)
        except AssertionError as error:
            failed = 1
            print(f"not ok {label}: {error}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
