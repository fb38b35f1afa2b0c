#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The C program of README.md, as printed: the first ```c block with `int main` is saved under the name that the printed
# compiler line gives it, that line compiles it against a freshly installed library, and it runs.
# Expects B (the build folder) and RUN_MAKE. README=FILE checks another file.
set -euo pipefail

cd "$(dirname "$0")/../.."
readme=$(realpath "${README:-README.md}")
read -r -a make <<<"${RUN_MAKE:-make} --no-print-directory -s B=${B:-build}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "readme: $*" >&2
    exit 1
}

[ -f "$readme" ] || fail "README.md does not exist"

# Prints the first fenced block of one of the languages $1 that has a line matching $2, without its fences.
block() {
    awk -v languages="$1" -v wanted="$2" '
    /^[ ]*```/ {
        if (inside) {
            if (found) { printf "%s", text; exit }
            inside = 0
            next
        }
        match($0, /^ */); indent = RLENGTH
        language = $0; gsub(/[` \t]/, "", language)
        inside = 1; text = ""; found = 0; joined = ""
        usable = language ~ ("^(" languages ")$")
        next
    }
    inside && usable {
        line = substr($0, indent + 1); text = text line "\n"; joined = joined line
        if (joined ~ wanted) found = 1
        if (!sub(/\\$/, "", joined)) joined = ""
    }
    ' "$readme"
}

program=$(block "c|C" "int main")
[ -n "$program" ] || fail "no \`\`\`c block with 'int main' in README.md"
shell=$(block "sh|bash|shell|console|" "(^|[ \t])(cc|gcc|clang) .*[.]c( |$)")
[ -n "$shell" ] || fail "no shell block in README.md with the line that compiles the program"

# Prompts ("$ ", "# ") go, a line that ends in a backslash goes on in the next, and "a && b" are two commands.
commands=$(sed -e ':a' -e '/\\$/{N;s/\\\n//;ba;}' <<<"$shell" | sed -e 's/^[$#] *//' -e 's/ *&& */\n/g')
compile=$(grep -E '(^|[[:space:];&])(cc|gcc|clang) .*[.]c( |$)' <<<"$commands" | head -n 1)
source=$(grep -oE '[A-Za-z0-9_./-]+\.c( |$)' <<<"$compile" | head -n 1 | tr -d ' ')
[[ $source != /* && $source != *..* ]] || fail "the compiler line names $source, outside the folder"
binary=$(sed -n 's/.* -o *\([^ ;&]*\).*/\1/p' <<<"$compile")
binary=${binary:-a.out}

"${make[@]}" install prefix="$work/inst" >"$work/log" 2>&1 || { cat "$work/log"; fail "make install failed"; }
mkdir -p "$work/run/$(dirname "$source")"
printf '%s\n' "$program" >"$work/run/$source"
cd "$work/run"

# Where a real installation is found without being told.
export PKG_CONFIG_PATH=$work/inst/lib/pkgconfig CPATH=$work/inst/include LIBRARY_PATH=$work/inst/lib
export LD_LIBRARY_PATH=$work/inst/lib
bash -ec "$compile" || fail "does not compile as printed: $compile"
[ -x "$binary" ] || fail "the compiler line left no program $binary: $compile"

# The printed way to start it, with its arguments, if there is one.
run=$(grep -oE "(^|[;&[:space:]])\./$(basename "$binary")( [^;&]*)?\$" <<<"$commands" | grep -v ' -o ' | head -n 1 || true)
run=${run:-./$binary}
status=0
timeout 60 bash -ec "$run" >"$work/output" 2>&1 </dev/null || status=$?
if [ "$status" -ne 0 ]; then
    cat "$work/output" >&2
    fail "$run ended with exit code $status"
fi
echo "readme: $source compiles as printed and runs ($(wc -l <"$work/output") lines of output)"
