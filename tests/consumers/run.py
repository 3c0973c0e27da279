#!/usr/bin/env python3
"""Builds and runs projects that use uaio as a user would.

    tests/consumers/run.py PREFIX [PART]...   where `./dev install PREFIX` put the library

PART is a part of a case's name.

make and pkg-config, and CMake, use the installed tree, its shared and its static library; the
meson project uses a copy of this one as its subproject: as a static library, without TLS, and
without HTTP. Prints a line a case, and `N passed, N failed, N skipped` at the end.
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


def check_output(program, *arguments, environment=None,
                 wanted="28 bytes: one iovec list, two entries\n"):
    output = run(program, *arguments, environment=environment)
    if output != wanted:
        raise Failed(f"{program.name} printed {output!r}")


def certificate(folder):
    """A self-signed certificate for localhost."""
    names = folder / "chain.pem", folder / "key.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2",
        "-out", names[0], "-keyout", names[1])
    return names


def check_programs(folder, suffix="", environment=None):
    """Runs the programs built from main.cc and secure.cc."""
    check_output(folder / f"main{suffix}", environment=environment)
    check_output(folder / f"secure{suffix}", *certificate(folder), environment=environment,
                 wanted="TLS, Dialer, easy and HTTP\n")


def with_make(libraries, build):
    environment = {"PKG_CONFIG_PATH": str(libraries / "pkgconfig")}
    run("make", "-C", HERE / "make", f"BUILD={build}", environment=environment)
    check_programs(build, environment={"LD_LIBRARY_PATH": str(libraries)})
    check_programs(build, "-static")


def with_cmake(prefix, build):
    run("cmake", "-S", HERE / "cmake", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", build)
    check_programs(build)
    check_programs(build, "-static")


def meson_project(build):
    """A project with a copy of this tree, git's files alone, as its subproject."""
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
    # Otherwise meson would use an installed uaio, but this case tests the subproject.
    run("meson", "setup", build / "out", meson_project(build), "--wrap-mode=forcefallback",
        "--buildtype=debug", *options)
    run("ninja", "-C", build / "out", *targets)
    return build / "out"


def as_static_subproject(build):
    out = build_with_meson(build, ["main", "secure"], "-Duaio:default_library=static")
    check_programs(out)


def without_tls(build):
    out = build_with_meson(build, ["main", "without_tls"], "-Duaio:tls=disabled",
                           "-Duaio:default_library=shared")
    check_output(out / "main")
    check_output(out / "without_tls", wanted="no TLS, but a connection\n")


def without_http(build):
    out = build_with_meson(build, ["without_http"], "-Duaio:http=false",
                           "-Duaio:default_library=shared")
    check_output(out / "without_http", wanted="no HTTP, but a stream\n")


def main():
    prefix = Path(sys.argv[1]).resolve()
    found = list(prefix.rglob("libuaio.so"))
    if not found:
        sys.exit(f"there is no libuaio.so below {prefix}")
    count = {"ok": 0, "not ok": 0}
    libraries = found[0].parent
    for name, build_with in (("make and pkg-config", lambda build: with_make(libraries, build)),
                             ("CMake", lambda build: with_cmake(prefix, build)),
                             ("a static meson subproject", as_static_subproject),
                             ("a meson subproject without TLS", without_tls),
                             ("a meson subproject without HTTP", without_http)):
        if sys.argv[2:] and not any(part in name for part in sys.argv[2:]):
            continue
        outcome, why = "ok", ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                build_with(Path(folder))
            except (Failed, subprocess.TimeoutExpired) as error:
                outcome, why = "not ok", f": {error}"
        count[outcome] += 1
        print(f"{outcome} consumer with {name}{why}", flush=True)
    print(f"{count['ok']} passed, {count['not ok']} failed, 0 skipped")
    return 1 if count["not ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
