#!/usr/bin/env python3
"""Every C++ block of README.md and docs/*.md compiles against the public headers.

    tests/samples_test.py [BUILD]        without BUILD, with the default build options

The definitions in a block go to a namespace of its page, where later blocks see them; the rest of
the block becomes the body of a function. All public headers are included, and GIVEN is declared. A
block that needs more has a comment in front of it, which is invisible on the page:

    <!-- sample:
    char buffer[100];
    -->

The block follows the comment's text, or replaces a line `...` in it. A block that cannot
compile has `<!-- not compiled: REASON -->` in front of it, and is counted.

Errors name the page and its line. Prints a line a case for tests/run.py.
"""

import concurrent.futures
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from structure_test import write_config

ROOT = Path(__file__).resolve().parent.parent

GIVEN = """
using namespace std::chrono_literals;
extern uaio::Engine& engine;
extern uaio::Aio& aio;
extern uaio::Endpoint endpoint;
extern uaio::StreamPtr stream;

// What a sample may return: anything.
struct Result {
    Result() = default;
    template <class Value>
    Result(Value&&) {}
};
"""

KEYWORD = re.compile(r"(class|struct|enum|union|namespace|template|using|inline|constexpr)\b")
FUNCTION = re.compile(r"(?!return\b|co_|else\b|new\b|static_cast)"
                      r"[\w:<>,&*\s]+[\s&*][\w:~]+\([^;{\[]*\)[\w\s]*\{")
INCLUDE = re.compile(r"\s*#\s*include\b")
COMMENT_OR_LITERAL = re.compile(r'//.*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'')


class Sample:
    """A block with the lines of its comment around it: pairs of a line's number and its text."""

    def __init__(self, page, lines, reason=None):
        self.page, self.lines, self.reason = page, lines, reason


def samples(page, text):
    lines = list(enumerate(text.splitlines(), 1))
    comment, block, fence = [], [], None
    for number, line in lines:
        opening = re.match(r"\s*(```+|~~~+)\s*([\w+]*)", line)
        if fence:
            if opening and opening[1] == fence[1] and not opening[2]:
                if fence[2] in ("cpp", "c++", "cc", "cxx"):
                    yield sample(page, comment, block)
                comment, block, fence = [], [], None
            else:
                block.append((number, line))
        elif opening:
            fence = opening
        elif line.startswith(("<!-- sample:", "<!-- not compiled:")):
            comment = [(number, line)]
        elif comment and "-->" not in comment[-1][1]:
            comment.append((number, line))
        elif line.strip():
            comment = []


def sample(page, comment, block):
    if not comment:
        return Sample(page, block)
    if comment[0][1].startswith("<!-- not compiled:"):
        whole = " ".join(line for _, line in comment)
        return Sample(page, [], re.sub(r"^<!-- not compiled:|-->.*", "", whole).strip())
    around = [(number, re.sub(r"^<!-- sample:|-->.*", "", line)) for number, line in comment]
    place = next((index for index, (_, line) in enumerate(around) if line.strip() == "..."),
                 len(around))
    return Sample(page, around[:place] + block + around[place + 1:])


def parts(lines):
    """Splits at the empty lines outside all braces."""
    part, depth = [], 0
    for number, line in lines:
        if not line.strip() and depth == 0:
            if part:
                yield part
            part = []
            continue
        part.append((number, line))
        plain = COMMENT_OR_LITERAL.sub("", line)
        depth += plain.count("{") - plain.count("}")
    if part:
        yield part


def is_definition(part):
    text = "\n".join(COMMENT_OR_LITERAL.sub("", line) for _, line in part).strip()
    return bool((KEYWORD.match(text) or FUNCTION.match(text)) and re.search(r"[};]$", text)
                and not re.match(r"using namespace", text))


def numbered(page, lines):
    """The text of these lines, with #line, so that errors refer to the page."""
    text, expected = "", None
    for number, line in lines:
        if number != expected:
            text += f'#line {number} "{page}"\n'
        text += line + "\n"
        expected = number + 1
    return text


def translation_unit(compiled):
    headers = sorted(path.name for path in (ROOT / "include/uaio").glob("*.h"))
    text = "".join(f"#include <uaio/{name}>\n" for name in headers)
    text += "#include <unistd.h>\n\n#include <cstdio>\n#include <vector>\n"
    for one in compiled:
        text += numbered(one.page, [line for line in one.lines if INCLUDE.match(line[1])])
    text += GIVEN
    for index, one in enumerate(compiled):
        definitions, body = "", ""
        for part in parts([line for line in one.lines if not INCLUDE.match(line[1])]):
            if is_definition(part):
                definitions += numbered(one.page, part)
            else:
                body += numbered(one.page, part)
        result, last = (("uaio::Task<>", "co_return;") if "co_await" in body
                        else ("::Result", "return {};"))
        space = "page_" + re.sub(r"\W", "_", one.page)
        text += (f"namespace {space} {{\n{definitions}"
                 f"{result} sample_{index}() {{\n{body}{last}\n}}\n}}\n")
    return text


def errors_of(compiled, include):
    """The compiler's errors for these samples, a line each; empty if they compile."""
    command = [*shlex.split(os.environ.get("CXX", "c++")), "-std=c++20", "-fsyntax-only",
               "-Wall", "-Wextra", "-Wno-unused-variable", "-Wno-missing-field-initializers",
               "-x", "c++", "-I", str(ROOT / "include"), "-I", str(include), "-"]
    done = subprocess.run(command, input=translation_unit(compiled), capture_output=True, text=True,
                          check=False)
    errors = [line for line in done.stderr.splitlines() if "error:" in line or "warning:" in line]
    return errors or ([f"exit status {done.returncode}"] if done.returncode else [])


def say(name, problems):
    for problem in problems[:20]:
        print(f"  {problem}")
    print(f"not ok {name}: {problems[0]}" if problems else f"ok {name}", flush=True)
    return not problems


PLANTED = """
```cpp
uaio::Aio mine(engine);
```

<!-- not compiled: it is a plan -->
```cpp
mine.fly();
```

<!-- sample:
int wings;
-->

```cpp
// A definition and a use of it.
int flaps() {
    return 2;
}

return flaps() + wings + feathers;
```
"""
PLANTED_ERROR = r"planted\.md:21:.*feathers"


def check_planted(include):
    planted = list(samples("planted.md", PLANTED))
    compiled = [one for one in planted if one.reason is None]
    found = errors_of(compiled, include)
    wrong = [] if len(found) == 1 and re.match(PLANTED_ERROR, found[0]) else [
        f"not the error that was planted: {found}"]
    if [one.reason for one in planted] != [None, "it is a plan", None]:
        wrong.append("a sample that is not compiled is not counted")
    return wrong


def check_pages(pages, include):
    """Returns a list of errors for each page."""
    compiled = [one for page in pages.values() for one in page if one.reason is None]
    errors = {page: ["a sample that is not compiled gives no reason"]
              if any(one.reason == "" for one in blocks) else [] for page, blocks in pages.items()}
    found = errors_of(compiled, include)
    for error in found:
        page = error.split(":")[0]
        for name in [page] if page in errors else errors:
            errors[name].append(error)
    return errors


def main():
    names = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    pages = {name: list(samples(name, (ROOT / name).read_text())) for name in names}
    pages = {name: blocks for name, blocks in pages.items() if blocks}
    pool = concurrent.futures.ThreadPoolExecutor(2)
    with tempfile.TemporaryDirectory() as folder:
        include = Path(sys.argv[1]).resolve() / "include" if len(sys.argv) > 1 else Path(folder)
        if len(sys.argv) == 1:
            write_config(include)
        planted = pool.submit(check_planted, include)
        errors = check_pages(pages, include)
        wrong = planted.result()
    passed = True
    for name, blocks in pages.items():
        left_out = sum(one.reason is not None for one in blocks)
        print(f"  {name}: {len(blocks) - left_out} compiled, {left_out} not compiled")
        passed &= say(f"the samples of {name} compile", errors[name])
    passed &= say("a sample that does not compile is found", wrong)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
