#!/usr/bin/env python3
"""Checks that names in the documentation exist: links, headings, tests, options, verbs, headers.

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
QUOTED = re.compile(r'"((?:[^"\n]|\n(?!\s*\n))+)"')
# Elsewhere quotation marks have other uses too; these words precede a test's name.
QUOTED_TEST = re.compile(r'(?:\(|\b[Tt]ests?\s|\b[Cc]ases?\s)\s*' + QUOTED.pattern)

CONTRACTS = {f"docs/{name}_contract.md" for name in ("aio", "http", "proxy", "tls")}


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
    """The anchors of a page's headings, as GitHub generates them."""
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
    """Every doctest case's name, and the source of the other programs that print cases."""
    names, printed = set(), ""
    for path in [*(ROOT / "tests").rglob("*.cc"), *(ROOT / "tests").glob("*_test.py")]:
        text = path.read_text()
        printed += text if "doctest.h" not in text else ""
        for literals in TEST_CASE.findall(text):
            parts = re.findall(r'"((?:[^"\\]|\\.)*)"', literals)
            names.add(re.sub(r"\\(.)", r"\1", "".join(parts)))
    return names, printed


def quoted_tests(pages):
    """(page, name) of each test that a page names: by its whole name, three words or more."""
    for page, text in pages.items():
        pattern = QUOTED if page.endswith("_contract.md") else QUOTED_TEST
        for name in pattern.findall(without_code(text)):
            name = re.sub(r"\s+", " ", name)
            if name.count(" ") >= 2:
                yield page, name


def named_tests_exist(pages):
    names, printed = test_names()
    quoted = list(quoted_tests(pages))
    for page, name in quoted:
        if name not in names and name not in printed:
            yield f'{page}: there is no test "{name}"'
    for page in sorted({page for page in pages if page.endswith("_contract.md")} | CONTRACTS):
        if page not in dict(quoted):
            yield f"{page}: names no test" if page in pages else f"{page}: there is no such file"


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


# A page for each rule that breaks it, and the message that the rule must give.
PLANTED = {
    links_resolve: ("docs/a.md", "[a](b.md)", "docs/a.md: b.md"),
    named_tests_exist: ("docs/tls_contract.md", 'It holds ("no such test\nanywhere").',
                        'docs/tls_contract.md: there is no test "no such test anywhere"'),
    options_are_documented: ("docs/tuning.md", "`inline_iov`", "does not name `gather_bytes`"),
    verbs_exist: ("docs/a.md", "`./dev fly`", "docs/a.md: ./dev has no verb fly"),
    headers_exist: ("docs/a.md", "`<uaio/flight.h>`", "docs/a.md: there is no <uaio/flight.h>"),
}


def say(name, problems):
    for problem in problems:
        print(f"  {problem}")
    name = "documentation, " + name
    print(f"not ok {name}: {len(problems)} found" if problems else f"ok {name}")
    return not problems


def main():
    pages = documents()
    passed = True
    missed = []
    for rule, (page, text, expected) in PLANTED.items():
        passed &= say(rule.__name__.replace("_", " "), list(rule(pages)))
        found = "\n".join(rule({page: text}))
        missed += [] if expected in found else [f"{rule.__name__} does not say: {expected}"]
    # Outside the contracts, and in a contract that no longer names a test.
    for page, text, expected in (
            ("docs/guide.md", 'The test "it flies far away" shows it.', '"it flies far away"'),
            ("docs/guide.md", 'As it is ("it flies far away").', '"it flies far away"'),
            ("docs/aio_contract.md", "", "docs/aio_contract.md: names no test")):
        found = "\n".join(named_tests_exist({page: text}))
        missed += [] if expected in found else [f"named_tests_exist does not say: {expected}"]
    passed &= say("planted violations are found", missed)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
