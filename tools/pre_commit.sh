#!/bin/sh
# Checks a commit before git makes it, in a few seconds: the format of the staged C++ files, and the
# structure and the documentation of the work tree. `./dev` installs it as git's pre-commit hook;
# `git commit --no-verify` commits without it.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=

# reject WHAT HINT
reject() {
    echo "pre-commit: $1" >&2
    echo "pre-commit: $2" >&2
    failed=yes
}

# Prints the staged files whose staged text clang-format would change.
unformatted() {
    git diff --cached --name-only --diff-filter=ACMR -- '*.cc' '*.h' | while IFS= read -r file; do
        git show ":$file" |
            clang-format --assume-filename="$file" --dry-run -Werror >/dev/null 2>&1 ||
            echo "$file"
    done
}

# check NAME HINT COMMAND...: prints the output of the command if it fails.
check() {
    name=$1
    hint=$2
    shift 2
    found=$("$@" 2>&1) && return
    printf '%s\n' "$found" | grep -v '^ok ' >&2
    reject "$name failed" "$hint"
}

if command -v clang-format >/dev/null; then
    files=$(unformatted)
    [ -z "$files" ] ||
        reject "clang-format would change: $(echo "$files" | tr '\n' ' ')" \
            "run ./dev format, then git add them again"
else
    echo "pre-commit: the format is not checked: ./dev packages clang-format" >&2
fi
if command -v python3 >/dev/null; then
    check structure "correct what is named above, then git add it" \
        python3 tests/structure_test.py --rules
    check documentation "correct what is named above, then git add it" \
        python3 tests/docs_test.py
else
    echo "pre-commit: structure and documentation are not checked: ./dev packages python3" >&2
fi

[ -z "$failed" ] || {
    echo "pre-commit: nothing was committed; git commit --no-verify commits all the same" >&2
    exit 1
}
