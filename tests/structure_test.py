#!/usr/bin/env python3
"""The shape of the tree, as docs/architecture.md draws it, as tests.

    tests/structure_test.py [BUILD]        the build folder is not needed
    tests/structure_test.py --rules        without compiling the public headers: two seconds

Prints a line a case for tests/run.py. Every rule also runs on a small tree with a planted
violation, which shows that the rule can find one.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# ---- the picture: what lies where, and what it may include. Arrows run down only. ----

# A row a folder, the highest first: the public headers that it implements, which count as its
# files, and the folders that it may include, which are listed below it.
STREAM = "base aio engine transport/stream"
FOLDERS = {
    "transport/easy": ("easy", f"{STREAM} transport/socket transport/tls transport/dialer"),
    "transport/dialer": ("dialer", f"{STREAM} transport/socket transport/tls transport/proxy "
                                   "transport/http/format"),
    "transport/proxy": ("proxy", f"{STREAM} transport/http/format"),
    "transport/tls/absent": ("", f"{STREAM} transport/tls"),
    "transport/tls": ("tls tls_context tls_error", STREAM),
    "transport/http/server": ("http_server http_files http",
                              f"{STREAM} transport/file transport/http/format transport/http "
                              "transport/http/client"),
    "transport/http/client": ("http_client", f"{STREAM} transport/http/format transport/http"),
    "transport/http": ("http_content http_connection", f"{STREAM} transport/http/format"),
    "transport/http/format": ("http_error http_types http_content_buffer http_headers http_message",
                              "base"),
    "transport/socket": ("endpoint resolver tcp local", f"{STREAM} engine/kernel"),
    "transport/file": ("", STREAM),
    "transport/stream": ("stream await transferred", "base aio engine"),
    "aio": ("iov_cursor aio provider task", "base engine"),
    "engine": ("nodes buffers engine engine_group",
               "base engine/kernel engine/kernel/linux engine/kernel/poll engine/kernel/sim"),
    "engine/kernel/sim": ("sim", "base engine/kernel"),
    "engine/kernel/poll": ("", "base engine/kernel"),
    "engine/kernel/linux": ("", "base engine/kernel"),
    "engine/kernel": ("engine_options", "base"),
    "base": ("config clock error argument_error", ""),
}
LIBRARY = list(FOLDERS)
# Programs, with the folders below them.
PROGRAMS = {"tools": [], "examples": [], "bench": [], "tests": ["bench"]}

# The engine and the files that fill SQEs include liburing; the tls folder includes OpenSSL.
LIBURING_FOLDERS = ("engine/", "transport/file/", "transport/socket/", "tests/", "bench/")
OPENSSL_FOLDERS = ("transport/tls/", "tests/", "bench/")

TOP_LEVEL = {
    "include", "base", "aio", "engine", "transport", "bench", "tests", "examples", "tools", "docs",
    "packaging", ".ci", ".github", "dev", "meson.build", "meson_options.txt", "README.md",
    "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".clang-format", ".clang-tidy",
    ".editorconfig", ".gitignore",
}

FILE_LINES = 500
FUNCTION_LINES = 70
CLASS_FUNCTIONS = 45
# Lines with an ALWAYS_CHECK, DCHECK or static_assert in each 1000 lines of a layer, at least.
ASSERTIONS = {"engine": 25, "aio": 25, "transport": 10}
COLUMNS = 100

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


class Tree:
    """The files of a work tree that belong to the project: those of git, without ignored ones."""

    def __init__(self, root, names=None):
        self.root = root
        self.names = sorted(names if names is not None else listed(root))
        self.cpp = [name for name in self.names if name.endswith((".h", ".cc"))]
        self.code = self.cpp + [name for name in self.names
                                if name.endswith((".py", ".sh", "meson.build", ".in"))
                                or name in ("dev", ".ci/run", "meson_options.txt")]

    def text(self, name):
        return (self.root / name).read_text(errors="replace")

    def lines(self, name):
        return self.text(name).splitlines()

    def includes(self, name):
        """(line, "<" or a quote, path) of each include."""
        text = self.text(name)
        return [(text.count("\n", 0, match.start(1)) + 1, match.group(1), match.group(2))
                for match in INCLUDE.finditer(text)]


def listed(root):
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"]
    git = (subprocess.run(command, capture_output=True, text=True, check=False)
           if shutil.which("git") and (root / ".git").exists() else None)
    if git and git.returncode == 0:
        return [name for name in git.stdout.splitlines() if (root / name).is_file()]
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return [name for name in names if not re.match(r"build|\.git/|subprojects/.*/", name)]


def owner_of(name):
    """The row of a file, or None."""
    if name.startswith("include/uaio/"):
        header = Path(name).stem
        return next((row for row, (headers, _) in FOLDERS.items() if header in headers.split()),
                    None)
    top = name.split("/", maxsplit=1)[0]
    folder = str(Path(name).parent)
    return top if top in PROGRAMS else folder if folder in FOLDERS else None


def below(owner):
    if owner in PROGRAMS:
        return LIBRARY + PROGRAMS[owner]
    return FOLDERS[owner][1].split()


# ---- the rules: each returns its violations, a line each ----

def folders_include_only_folders_below(tree):
    for name in tree.cpp:
        source = owner_of(name)
        if source is None:
            yield f"{name} is in no folder of the picture: add a row to tests/structure_test.py"
            continue
        for line, kind, path in tree.includes(name):
            if kind == "<" and not path.startswith("uaio/"):
                continue
            target = owner_of("include/" + path if kind == "<" else path)
            if target is None:
                yield f"{name}:{line}: {path} is in no folder of the picture"
            elif target != source and target not in below(source):
                yield f"{name}:{line}: {source} includes {target} ({path})"


def every_row_exists(tree):
    """Each also names only rows below itself, so that the picture has no cycle."""
    rows = list(FOLDERS)
    for row, (headers, targets) in FOLDERS.items():
        if not any(str(Path(name).parent) == row for name in tree.cpp):
            yield f"{row}: there is no such folder"
        for header in headers.split():
            if not {f"include/uaio/{header}.h", f"include/uaio/{header}.h.in"} & set(tree.names):
                yield f"{row}: there is no <uaio/{header}.h>"
        for target in targets.split():
            if target not in rows[rows.index(row) + 1:]:
                yield f"{row}: {target} does not stand below it"


def the_engine_knows_no_aio(tree):
    """Not even in a comment: a waiting object has a Completion, a TimerNode or a MailboxEntry."""
    for name in tree.cpp:
        if not name.startswith("engine/"):
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if re.search(r"\bAios?\b", line):
                yield f"{name}:{number}: {line.strip()}"


def includes_have_no_cycle(tree):
    graph = {}
    for name in tree.cpp:
        targets = ["include/" + path if kind == "<" else path
                   for _, kind, path in tree.includes(name)]
        graph[name] = [target for target in targets if target in tree.cpp]
    done, way = set(), []

    def visit(name):
        if name in way:
            yield "a cycle: " + " -> ".join(way[way.index(name):] + [name])
        elif name not in done:
            way.append(name)
            for target in graph[name]:
                yield from visit(target)
            way.pop()
            done.add(name)

    for name in graph:
        yield from visit(name)


def public_headers_stand_alone(tree):
    for name in tree.cpp:
        for line, kind, path in tree.includes(name):
            if name.startswith("include/") and kind == '"':
                yield f"{name}:{line}: a public header includes {path}, which is not installed"
            if name.startswith("examples/") and kind == '"':
                yield f"{name}:{line}: an example includes {path}, which a user does not have"


def liburing_stays_where_sqes_are_filled(tree):
    for name in tree.cpp:
        for line, _, path in tree.includes(name):
            if not re.match(r"liburing|linux/io_uring", path):
                continue
            if not name.startswith(LIBURING_FOLDERS):
                yield f"{name}:{line}: includes {path}"
            elif name.startswith("transport/") and not re.search(
                    r"io_uring_(prep_|sqe\b)", tree.text(name)):
                yield f"{name}:{line}: includes {path} and fills no SQE"


def openssl_stays_in_tls(tree):
    for name in tree.cpp:
        for line, _, path in tree.includes(name):
            if path.startswith("openssl/") and not name.startswith(OPENSSL_FOLDERS):
                yield f"{name}:{line}: includes {path}"


def files_are_short(tree):
    for name in tree.code:
        count = len(tree.lines(name))
        if count > FILE_LINES:
            yield f"{name}: {count} lines, at most {FILE_LINES}"


def lines_are_short(tree):
    for name in tree.code:
        for number, line in enumerate(tree.lines(name), 1):
            if len(line) > COLUMNS:
                yield f"{name}:{number}: {len(line)} columns, at most {COLUMNS}"


def functions_are_short(tree):
    names = [name for name in tree.code if name.endswith((".h", ".cc", ".py"))]
    ctags = subprocess.run(
        ["ctags", "-f", "-", "--map-C++=+.h", "--fields=+ne", "--kinds-C++=f", "--kinds-Python=fm",
         *names], cwd=tree.root, capture_output=True, text=True, check=True)
    for tag in ctags.stdout.splitlines():
        function, name, *_ = tag.split("\t")
        first, last = re.search(r"\tline:(\d+)", tag), re.search(r"\tend:(\d+)", tag)
        if first and last and int(last[1]) - int(first[1]) + 1 > FUNCTION_LINES:
            yield (f"{name}:{first[1]}: {function} has {int(last[1]) - int(first[1]) + 1} lines, "
                   f"at most {FUNCTION_LINES}")
    for name in tree.cpp:  # ctags does not report test cases as functions
        first = None
        for number, line in enumerate(tree.lines(name), 1):
            if line.startswith("TEST_CASE"):
                first = number
            elif line == "}" and first:
                if number - first + 1 > FUNCTION_LINES:
                    yield f"{name}:{first}: a test case has {number - first + 1} lines"
                first = None


def classes_are_small(tree):
    headers = [name for name in tree.cpp if name.endswith(".h") and name.startswith(
        ("base/", "aio/", "engine/", "transport/", "include/"))]
    ctags = subprocess.run(
        ["ctags", "-f", "-", "--map-C++=+.h", "--kinds-C++=fp", "--fields=+s", *headers],
        cwd=tree.root, capture_output=True, text=True, check=True)
    functions = {}
    for tag in ctags.stdout.splitlines():
        owner = re.search(r"\t(?:class|struct):(\S+)", tag)
        if owner:
            key = (tag.split("\t")[1], owner[1])
            functions[key] = functions.get(key, 0) + 1
    for (name, owner), count in functions.items():
        if count > CLASS_FUNCTIONS:
            yield f"{name}: {owner} has {count} functions, at most {CLASS_FUNCTIONS}"


def assertions_are_frequent(tree):
    assertion = re.compile(r"^[^/#]*\b(ALWAYS_CHECK|DCHECK|static_assert)\(")
    for layer, least in ASSERTIONS.items():
        lines = [line for name in tree.cpp if name.startswith(layer + "/")
                 for line in tree.lines(name)]
        found = sum(1 for line in lines if assertion.search(line))
        if found * 1000 < least * len(lines):
            yield f"{layer}/: {found} assertions in {len(lines)} lines, at least {least} in 1000"


def returned_errors_are_nodiscard(tree):
    function = re.compile(r"^\s*(?:(?:static|virtual|constexpr|inline) )*std::error_code \w+\(")
    for name in tree.cpp:
        if not name.endswith(".h"):
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if function.match(line) and "override" not in line:
                yield f"{name}:{number}: {line.strip()}"


def tests_have_a_namespace(tree):
    """Files of a test program are compiled together; none may define a name of another."""
    for name in tree.cpp:
        if not re.match(r"tests/(?!programs/|guard/).*_test\.cc$", name):
            continue
        own = Path(name).stem
        for number, line in enumerate(tree.lines(name), 1):
            found = re.match(r"namespace ([\w:]*)", line)
            if found and not found[1].endswith("::" + own):
                yield f"{name}:{number}: its names belong into the namespace uaio::{own}"


def tests_never_sleep(tree):
    for name in tree.cpp:
        if not name.startswith("tests/"):
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if re.search(r"(?<![.>\w])(u?sleep|nanosleep|clock_nanosleep|nng_msleep)\s*\("
                         r"|\bthis_thread::sleep", line.split("//")[0]):
                yield f"{name}:{number}: sleeps"


def comments_contain_no_task_marks(tree):
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for name in tree.names:
        for number, line in enumerate(tree.lines(name), 1):
            if marks.search(line):
                yield f"{name}:{number}: {line.strip()}"


def headers_open_with_a_paragraph(tree):
    for name in tree.cpp:
        lines = tree.lines(name)
        if not name.endswith(".h"):
            continue
        if not lines or not lines[0].startswith("//"):
            yield f"{name}: does not say what it is"
        # gcc warns of #pragma once in a header that it precompiles.
        if "#pragma once" not in lines and "/precompiled/" not in name:
            yield f"{name}: has no #pragma once"


def top_level_entries_are_documented(tree):
    for entry in sorted({name.split("/")[0] for name in tree.names} - TOP_LEVEL):
        yield f"{entry}: not in docs/architecture.md"


def every_source_is_built(tree):
    for name in tree.cpp:
        if not name.endswith(".cc") or name.startswith("tests/consumers/"):
            continue
        # The build file of the folder or of the nearest folder above lists files, or names each.
        build = next((str(folder / "meson.build") for folder in Path(name).parents
                      if str(folder / "meson.build") in tree.names), None)
        text = tree.text(build) if build else ""
        path = Path(name).relative_to(Path(build).parent) if build else name
        if "run_command" not in text and f"'{path}'" not in text:
            yield f"{name}: in no meson.build"


# ---- a violation for each rule: file names, their text, and the file that must be named ----

PLANTED = {
    folders_include_only_folders_below: (
        {"base/a.cc": '#include "engine/core.h"\n'}, "base/a.cc:1"),
    the_engine_knows_no_aio: ({"engine/a.cc": "\nclass Aio;\n"}, "engine/a.cc:2"),
    every_row_exists: ({"aio/a.h": "#pragma once\n"}, "engine: there is no such folder"),
    includes_have_no_cycle: ({"aio/a.h": '#include "aio/b.h"\n', "aio/b.h": '#include "aio/a.h"\n'},
                             "aio/a.h -> aio/b.h -> aio/a.h"),
    public_headers_stand_alone: ({"include/uaio/aio.h": '#include "aio/error.h"\n'}, "aio.h:1"),
    liburing_stays_where_sqes_are_filled: ({"aio/a.cc": "\n#include <liburing.h>\n"}, "aio/a.cc:2"),
    openssl_stays_in_tls: ({"transport/http/a.cc": "#include <openssl/ssl.h>\n"}, "http/a.cc:1"),
    files_are_short: ({"aio/a.cc": "\n" * 501}, "501 lines"),
    lines_are_short: ({"aio/a.cc": "//" + "x" * 99 + "\n"}, "aio/a.cc:1"),
    functions_are_short: ({"aio/a.cc": "int f() {\n" + "f();\n" * 69 + "}\n"}, "f has 71 lines"),
    classes_are_small: (
        {"aio/a.h": "class A {\n" + "".join(f"void f{n}();\n" for n in range(46)) + "};\n"},
        "A has 46 functions"),
    assertions_are_frequent: ({"aio/a.cc": "f();\n" * 99 + "DCHECK(a);\n" * 2 + "// DCHECK(a);\n"},
                              "2 assertions"),
    returned_errors_are_nodiscard: ({"aio/a.h": "static std::error_code f();\n"}, "aio/a.h:1"),
    tests_have_a_namespace: ({"tests/a_test.cc": "namespace uaio {\n"}, "tests/a_test.cc:1"),
    tests_never_sleep: ({"tests/a_test.cc": "void f() { usleep(3); }\n"}, "tests/a_test.cc:1"),
    comments_contain_no_task_marks: ({"aio/a.cc": "// TO" + "DO: more\n"}, "aio/a.cc:1"),
    headers_open_with_a_paragraph: ({"aio/a.h": "#pragma once\n"}, "aio/a.h"),
    top_level_entries_are_documented: ({"misc/a.cc": "\n"}, "misc"),
    every_source_is_built: ({"aio/a.cc": "\n", "aio/b.cc": "\n",
                             "aio/meson.build": "uaio_sources += files('b.cc')\n"}, "aio/a.cc"),
}

# The same again for single arrows that the picture forbids.
FORBIDDEN_ARROWS = [
    ("transport/http/a.cc", '#include "transport/socket/tcp.h"'),
    ("transport/http/a.cc", '#include "transport/tls/stream.h"'),
    ("transport/http/a.cc", '#include "transport/http/server/server.h"'),
    ("transport/http/a.cc", "#include <uaio/tcp.h>"),
    ("transport/http/client/a.cc", '#include "transport/dialer/dialer.h"'),
    ("transport/http/client/a.cc", '#include "transport/http/server/server.h"'),
    ("transport/http/format/a.cc", '#include "engine/core.h"'),
    ("transport/http/format/a.cc", "#include <uaio/stream.h>"),
    ("transport/tls/a.cc", '#include "transport/socket/stream.h"'),
    ("transport/stream/a.cc", '#include "transport/socket/endpoint.h"'),
    ("engine/a.cc", '#include "transport/stream/stream.h"'),
    ("engine/kernel/linux/a.cc", '#include "engine/core.h"'),
    ("base/a.cc", '#include "engine/core.h"'),
    ("tools/a.cc", '#include "tests/support/pipe.h"'),
    ("include/uaio/engine.h", "#include <uaio/aio.h>"),
    ("engine/a.cc", "#include <uaio/provider.h>"),
    ("examples/a.cc", '#include "tests/support/pipe.h"'),
]


def say(name, violations):
    violations = list(violations)
    for violation in violations:
        print(f"  {violation}")
    print(f"not ok {name}: {len(violations)} found" if violations else f"ok {name}", flush=True)
    return not violations


def sentence(rule):
    return rule.__name__.replace("_", " ")


def check_rules(tree):
    have_ctags = shutil.which("ctags") is not None
    passed = True
    for rule, (files, named) in PLANTED.items():
        if rule in (functions_are_short, classes_are_small) and not have_ctags:
            print(f"skip {sentence(rule)}: universal-ctags is not installed")
            continue
        passed &= say(sentence(rule), rule(tree))
        with tempfile.TemporaryDirectory() as folder:
            found = "\n".join(rule(planted_tree(Path(folder), files)))
            missed = [] if named in found else [f"{named} is not in: {found or 'nothing'}"]
        passed &= say(f"{sentence(rule)}, and a planted violation is found", missed)
    missed = []
    for name, text in FORBIDDEN_ARROWS:
        with tempfile.TemporaryDirectory() as folder:
            tree = planted_tree(Path(folder), {name: text})
            missed += [] if list(folders_include_only_folders_below(tree)) else [f"{name}: {text}"]
    return passed & say("every forbidden arrow is found", missed)


def planted_tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(folder, list(files))


# ---- each public header compiles alone ----

def write_config(folder):
    """<uaio/config.h> with the defaults of meson_options.txt, as configure_file would write it."""
    options = re.findall(r"option\('(\w+)'.*?value: '?(\w+)",
                         (ROOT / "meson_options.txt").read_text(), re.DOTALL)
    text = (ROOT / "include/uaio/config.h.in").read_text()
    for name, value in options:
        text = text.replace(f"@{name.upper()}@", "true" if value == "auto" else value)
    (folder / "uaio").mkdir()
    (folder / "uaio/config.h").write_text(text)


def compile_alone(compiler, header, config):
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++",
               "-I", str(ROOT / "include"), "-I", str(config), "-"]
    twice = f"#include <uaio/{header}>\n" * 2
    run = subprocess.run(command, input=twice, capture_output=True, text=True, check=False)
    return [line for line in run.stderr.splitlines() if "error" in line][:5] or (
        ["exit status %d" % run.returncode] if run.returncode else [])


def check_public_headers():
    headers = sorted(path.name for path in (ROOT / "include/uaio").glob("*.h")) + ["config.h"]
    # clang before 15 lacks std::coroutine_traits.
    clang = next(filter(shutil.which, ("clang++-19", "clang++-16")), None)
    compilers = ["g++"] + ([clang] if clang else [])
    if not clang:
        print("skip public headers compile alone with clang: clang++-16 is not installed")
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        write_config(Path(folder))
        jobs = [(compiler, header) for compiler in compilers for header in headers]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda job: compile_alone(*job, Path(folder)), jobs)
        for (compiler, header), errors in zip(jobs, results):
            passed &= say(f"<uaio/{header}> compiles alone with {compiler}", errors)
        Path(folder, "uaio/broken.h").write_text("inline std::size_t f() { return 0; }\n")
        missed = [] if compile_alone("g++", "broken.h", Path(folder)) else ["it compiled"]
    return passed & say("a header that does not compile alone is found", missed)


def main():
    rules = check_rules(Tree(ROOT))
    headers = "--rules" in sys.argv or check_public_headers()
    return 0 if rules and headers else 1


if __name__ == "__main__":
    sys.exit(main())
