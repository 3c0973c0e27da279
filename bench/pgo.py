#!/usr/bin/env python3
"""Builds uaio with profile-guided optimization: compiles it with counters, runs the works of
bench/instructions, and compiles it again with the profile.

    bench/pgo.py FOLDER [MESON OPTION]...

Needs gcc, which looks for the profile of a file beside its object, so both builds are in FOLDER.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import instructions
import run

ROOT = Path(__file__).resolve().parent.parent


def command(*words):
    """Runs a program, which prints only when it fails."""
    done = subprocess.run([str(word) for word in words], cwd=ROOT, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise run.Failure(f"{' '.join(map(str, words))} ended with {done.returncode}:\n"
                          f"{done.stdout[-4000:]}")


def set_up(folder, *options):
    again = ["--reconfigure"] if (folder / "build.ninja").exists() else []
    # Not a build type, which would replace an optimization level of the options.
    command("meson", "setup", *again, folder, "-Doptimization=3", "-Ddebug=false",
            "-Db_ndebug=true", "-Dtests=false", "-Dexamples=false", *options)


def compile_targets(folder, *targets):
    command("ninja", "-C", folder, *targets)


def train(program):
    """Runs all works that can run here; returns their names."""
    trained = []
    for work in instructions.works_of(program):
        try:
            instructions.execute([str(program), work.name, str(work.longer)])
            trained.append(work.name)
        except instructions.Skip as reason:
            print(f"skip {work.name}: {reason}", flush=True)
    if not trained:
        raise run.Failure("no work can run here, so there is no profile")
    return trained


def build(folder, *options, targets=()):
    """Builds `targets`, or the library and the programs, with the profile; returns the works."""
    shutil.rmtree(folder, ignore_errors=True)
    set_up(folder, "-Db_pgo=generate", *options)
    program = folder / "bench" / "instructions"
    compile_targets(folder, "bench/instructions")
    compiler = instructions.compiler_of(program)
    if not compiler.startswith("gcc "):
        raise run.Failure(f"needs gcc, this is {compiler}")
    trained = train(program)
    command("meson", "configure", folder, "-Db_pgo=use",
            f"-Dbench={'true' if targets else 'false'}")
    compile_targets(folder, *targets)
    return trained


def main(folder, *options):
    print("compiles uaio with counters, runs it, and compiles it again: some minutes", flush=True)
    trained = build(Path(folder).resolve(), *options)
    print(f"built {folder}/: the library, and the programs in {folder}/tools/, optimized for\n"
          f"  {' '.join(trained)}\n"
          f"to install it: meson install -C {folder}\n"
          f"in another place than /usr/local: ./dev pgo -Dprefix=/FOLDER")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except run.Failure as failure:
        sys.exit(f"pgo: {failure}")
