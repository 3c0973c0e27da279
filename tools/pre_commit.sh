#!/bin/sh
# Checks a commit before git makes it, in a few seconds: the format of the staged C++ files, and the
# structure and the documentation of the work tree. `./dev` installs it as git's pre-commit hook, by
# --install; `git commit --no-verify` commits without it.
set -u
cd "$(dirname "$0")/.." || exit 1

# Lets `git commit` run tools/pre_commit.sh. Does not replace a user's hook and does not write to a
# hooks folder that other repositories may share (core.hooksPath). The hook calls the script of the
# committing work tree, not a copy that becomes outdated: linked work trees share their hooks.
install_hook() {
    [ -z "${CI:-}" ] && command -v git >/dev/null 2>&1 || return 0
    [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ] || return 0
    [ -z "$(git config core.hooksPath)" ] || return 0
    hook=$(git rev-parse --git-path hooks)/pre-commit
    if [ -e "$hook" ] || [ -L "$hook" ]; then
        return 0
    fi
    if { mkdir -p "${hook%/*}" && cat >"$hook" && chmod +x "$hook"; } 2>/dev/null <<'END'; then
#!/bin/sh
# Installed by ./dev. Work trees of older commits have no such script.
[ ! -x tools/pre_commit.sh ] || exec tools/pre_commit.sh
END
        echo "dev: git commit runs tools/pre_commit.sh from now on" >&2
    fi
}

if [ "${1:-}" = --install ]; then
    install_hook
    exit
fi

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
