#!/usr/bin/env python3
"""Counts words that do not belong in comments, documents, names and messages.

    tools/words.py                 compares with tools/words.txt: a count for each top-level folder
    tools/words.py --list PATH...  lists each occurrence in these files and folders
    tools/words.py --lower         writes lower counts to tools/words.txt

Fails if a count has grown: write the sentence with the class, function or program as subject, an
active verb and the field's term. After moving text to another folder, change both counts by hand.
The program also plants every word, to verify that it finds it.
"""

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))
from structure_test import Tree  # noqa: E402: the line above finds it

BASELINE = "tools/words.txt"
# Text by other authors, input of fuzz targets, and the files that list the words.
LEFT_OUT = ("LICENSE", "tests/fuzz/corpus/", "tools/words.")

WORDS = ("told", "hear", "hears", "heard", "owe", "owes", "owed", "let go", "lets go",
         "letting go", "nobody", "whoever", "not to be had", "say goodbye", "says goodbye",
         "said goodbye", "be it")
# Words are separated by white space, and at a line break also by comment and string marks.
BETWEEN = r"[\s/#*\"]+"
ANYWHERE = re.compile(r"(?<![A-Za-z])(?:" + "|".join(WORDS).replace(" ", BETWEEN)
                      + r")(?![A-Za-z])", re.IGNORECASE)
# A sentence of a comment begins after the comment mark or after another sentence. In a document
# "What" may begin a heading or a question.
WHAT = re.compile(r"""(?://+|\#|/\*|[.:;?!]["')]*|["'*])[\s/#*]*(What)\s""")

PLANTED = {
    "aio/a.h": "".join(f"// It is {word} here.\nint {word.replace(' ', '_')}_;\n"
                       for word in WORDS if " " not in word),
    "engine/a.cc": "".join(f"// The kernel {word}\n" for word in WORDS).replace(" ", "\n// "),
    "tools/a.py": '"""What a program does.\n\nIt runs. What it prints:\n"""\n# What it says.\n',
    "docs/a.md": "# What it says\n\nWhat it did, nobody\nhas heard. Hearing, allowed, tolds.\n",
    "dev": "# a\n# What it does. What else?\n",
}
PLANTED_COUNTS = {"aio": 2 * sum(" " not in word for word in WORDS), "engine": len(WORDS),
                  "tools": 3, "docs": 2, ".": 2}


def places(name, text):
    """Yields (line, words) of each occurrence."""
    found = [(match.end(), match[0]) for match in ANYWHERE.finditer(text)]
    if not name.endswith(".md"):
        found += [(match.end(1), match[1]) for match in WHAT.finditer(text)]
    for end, words in sorted(found):
        yield text.count("\n", 0, end) + 1, re.sub(BETWEEN, " ", words)


def all_places(tree):
    for name in tree.names:
        if not name.startswith(LEFT_OUT):
            for line, words in places(name, tree.text(name)):
                yield name, line, words


def count(tree):
    """Counts the occurrences in each top-level folder; files outside folders count as `.`."""
    counts = {}
    for name, _, _ in all_places(tree):
        folder = name.split("/")[0] if "/" in name else "."
        counts[folder] = counts.get(folder, 0) + 1
    return counts


def read_baseline():
    lines = (ROOT / BASELINE).read_text().splitlines()
    return {folder: int(number) for folder, number in
            (line.split() for line in lines if line and not line.startswith("#"))}


def write_baseline(counts):
    text = "# The counts of tools/words.py, which may only become smaller.\n"
    text += "".join(f"{folder} {number}\n" for folder, number in sorted(counts.items()) if number)
    (ROOT / BASELINE).write_text(text)


def grown(counts, baseline):
    return [f"{folder}: {number} places, at most {baseline.get(folder, 0)}: "
            f"tools/words.py --list {folder} names them"
            for folder, number in sorted(counts.items()) if number > baseline.get(folder, 0)]


def check_planted():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in PLANTED.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        counts = count(Tree(Path(folder), list(PLANTED)))
    wrong = [] if counts == PLANTED_COUNTS else [f"{counts}, planted were {PLANTED_COUNTS}"]
    if (not grown({"aio": 3}, {"aio": 2}) or not grown({"aio": 1}, {})
            or grown({"aio": 2}, {"aio": 2})):
        wrong.append("a count that grows is not found")
    return wrong


def say(name, problems):
    for problem in problems:
        print(f"  {problem}")
    print(f"not ok {name}: {len(problems)} found" if problems else f"ok {name}")
    return not problems


def main():
    tree = Tree(ROOT)
    if sys.argv[1:2] == ["--list"]:
        wanted = [path.rstrip("/") for path in sys.argv[2:]]
        for name, line, words in all_places(tree):
            if any(name == path or name.startswith(path + "/") or path == "." and "/" not in name
                   for path in wanted):
                print(f"{name}:{line}: {words}")
        return 0
    counts, baseline = count(tree), read_baseline()
    if sys.argv[1:] == ["--lower"]:
        write_baseline({folder: min(number, counts.get(folder, 0))
                        for folder, number in baseline.items()})
        return 0
    passed = say("words that do not belong here become fewer", grown(counts, baseline))
    passed &= say("words that do not belong here are found", check_planted())
    if any(counts.get(folder, 0) < number for folder, number in baseline.items()):
        print("  there are fewer now: run tools/words.py --lower and commit tools/words.txt")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
