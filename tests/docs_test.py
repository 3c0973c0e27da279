#!/usr/bin/env python3
"""What the documentation names exists: links, headings, tests, build options, verbs, headers.

    tests/docs_test.py [BUILD]        the build folder is not needed

Prints a line a case for tests/run.py.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
TEST_CASE = re.compile(r'TEST_CASE(?:_TEMPLATE|_FIXTURE)?\(\s*(?:\w+,\s*)?'
                       r'((?:"(?:[^"\\]|\\.)*"\s*)+)')
QUOTED = re.compile(r'"([^"\n]+(?:\n\s*[^"\n]+)?)"')


def documents():
    git = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "*.md"],
                         capture_output=True, text=True, check=False)
    names = git.stdout.split() if git.returncode == 0 else [
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*.md")]
    return {name: (ROOT / name).read_text() for name in names if (ROOT / name).exists()}


def without_code(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text):
    """The anchors of a page's headings, made the way GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+\s+(.*)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


def links_resolve(pages):
    for name, text in pages.items():
        for match in LINK.finditer(without_code(text)):
            target = match[1] or match[2]
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.exists():
                yield f"{name}: {target}: there is no such file"
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
                yield f"{name}: {target}: there is no such heading"


def test_names():
    """Every doctest case's name, and the text of what else prints cases."""
    names, printed = set(), ""
    for path in [*(ROOT / "tests").rglob("*.cc"), *(ROOT / "tests").glob("*_test.py")]:
        text = path.read_text()
        printed += text if "doctest.h" not in text else ""
        for literals in TEST_CASE.findall(text):
            parts = re.findall(r'"((?:[^"\\]|\\.)*)"', literals)
            names.add(re.sub(r"\\(.)", r"\1", "".join(parts)))
    return names, printed


def named_tests_exist(pages):
    """A contract names a test by its whole name in double quotes, three words or more."""
    names, printed = test_names()
    for page in ("docs/aio_contract.md", "docs/http_contract.md", "docs/proxy_contract.md"):
        contract = pages.get(page)
        if contract is None:
            yield f"{page}: there is no such file"
            continue
        quoted = [re.sub(r"\s+", " ", name) for name in QUOTED.findall(contract)]
        wanted = [name for name in quoted if name.count(" ") >= 2]
        for name in wanted:
            if name not in names and name not in printed:
                yield f'{page}: there is no test "{name}"'
        if not wanted:
            yield f"{page}: names no test"


def options_are_documented(pages):
    tuning = pages.get("docs/tuning.md", "")
    for option in re.findall(r"^option\('(\w+)'", (ROOT / "meson_options.txt").read_text(),
                             re.MULTILINE):
        if f"`{option}`" not in tuning:
            yield f"docs/tuning.md: does not name `{option}`"


def verbs_exist(pages):
    verbs = set(re.findall(r"^([a-z]+(?: \| [-\w]+)*)\)", (ROOT / "dev").read_text(), re.MULTILINE))
    for name, text in pages.items():
        for verb in re.findall(r"\./dev ([a-z]+)", text):
            if verb not in verbs and not any(verb in known.split(" | ") for known in verbs):
                yield f"{name}: ./dev has no verb {verb}"


def headers_exist(pages):
    for name, text in pages.items():
        for header in sorted(set(re.findall(r"<uaio/(\w+)\.h>", text))):
            if header != "config" and not (ROOT / f"include/uaio/{header}.h").exists():
                yield f"{name}: there is no <uaio/{header}.h>"


def main():
    pages = documents()
    passed = True
    for rule in (links_resolve, named_tests_exist, options_are_documented, verbs_exist,
                 headers_exist):
        problems = list(rule(pages))
        for problem in problems:
            print(f"  {problem}")
        name = "documentation, " + rule.__name__.replace("_", " ")
        print(f"not ok {name}: {len(problems)} found" if problems else f"ok {name}")
        passed &= not problems
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
