#!/usr/bin/env python3
"""Builds and runs projects that use uaio as a user would.

    tests/consumers/run.py PREFIX        where `./dev install PREFIX` put the library

make and pkg-config, and CMake, take the installed tree; the meson project takes a copy of this one
as its subproject, once without TLS and once without HTTP. Prints a line a case, and `N passed, N
failed, N skipped` at the end.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Failed(Exception):
    pass


def run(*command, cwd=HERE, environment=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, check=False,
                          env={**os.environ, **(environment or {})}, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        print(done.stdout)
        raise Failed(f"{Path(command[0]).name}: exit status {done.returncode}")
    return done.stdout


def check_output(program, environment=None, wanted="24 bytes: one vector, two entries\n"):
    said = run(program, environment=environment)
    if said != wanted:
        raise Failed(f"{program.name} said {said!r}")


def with_make(prefix, libraries, build):
    environment = {"PKG_CONFIG_PATH": str(libraries / "pkgconfig")}
    run("make", "-C", HERE / "make", f"BUILD={build}", environment=environment)
    check_output(build / "consumer", {"LD_LIBRARY_PATH": str(libraries)})
    check_output(build / "consumer-static")


def with_cmake(prefix, libraries, build):
    run("cmake", "-S", HERE / "cmake", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", build)
    check_output(build / "consumer")
    check_output(build / "consumer-static")


def meson_project(build):
    """A project with a copy of this tree, as git knows it, as its subproject."""
    project = build / "consumers"
    shutil.copytree(HERE / "meson", project / "meson")
    for source in HERE.glob("*.cc"):
        shutil.copy(source, project)
    names = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            copy = project / "meson/subprojects/uaio" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy)
    return project / "meson"


def build_with_meson(build, targets, *options):
    # Otherwise an installed uaio would be taken, and the subproject is what is tested here. What is
    # built is the consumer and what it needs, and not the same library once more as an archive.
    run("meson", "setup", build / "out", meson_project(build), "--wrap-mode=forcefallback",
        "--buildtype=debug", "-Duaio:default_library=shared", *options)
    run("ninja", "-C", build / "out", *targets)
    return build / "out"


def without_tls(prefix, libraries, build):
    out = build_with_meson(build, ["consumer", "without_tls"], "-Duaio:tls=disabled")
    check_output(out / "consumer")
    check_output(out / "without_tls", wanted="no TLS, but a connection\n")


def without_http(prefix, libraries, build):
    out = build_with_meson(build, ["without_http"], "-Duaio:http=false")
    check_output(out / "without_http", wanted="no HTTP, but a stream\n")


def main():
    prefix = Path(sys.argv[1]).resolve()
    found = list(prefix.rglob("libuaio.so"))
    if not found:
        sys.exit(f"there is no libuaio.so below {prefix}")
    count = {"ok": 0, "not ok": 0}
    for name, build_with in (("make and pkg-config", with_make), ("CMake", with_cmake),
                             ("a meson subproject without TLS", without_tls),
                             ("a meson subproject without HTTP", without_http)):
        outcome, why = "ok", ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                build_with(prefix, found[0].parent, Path(folder))
            except (Failed, subprocess.TimeoutExpired) as error:
                outcome, why = "not ok", f": {error}"
        count[outcome] += 1
        print(f"{outcome} consumer with {name}{why}", flush=True)
    print(f"{count['ok']} passed, {count['not ok']} failed, 0 skipped")
    return 1 if count["not ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
