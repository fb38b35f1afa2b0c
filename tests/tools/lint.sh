#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What neither compiler nor linker sees: banned functions, types that may not cross the binary interface, formatting,
# spelling, shell scripts.
#
#   lint.sh               the whole repository; one line for each finding; fails if there is any
#   lint.sh --bans        only the rules of this script, none of the other tools
#   lint.sh --self-test   plants one offence of each kind in an empty folder and fails if any goes unnoticed
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=${LINT_ROOT:-$(dirname "$(dirname "$here")")}

# Words the spelling checker takes for others.
spelling_ok=${SPELLING_OK:-"exten,hist,inout,ist,sie"} # words of the field, and of German texts

sources() {
    local folder
    for folder in "$@"; do
        if [ -d "$folder" ]; then
            find "$folder" -name '*.[ch]' -type f
        fi
    done | sort
}

# Not what a user of the checkout installed into it: a virtual environment of Python, packages of Node.js.
texts() {
    find . -path ./.git -prune -o -path ./build -prune -o -name __pycache__ -prune -o -name node_modules -prune -o \
        -type d -exec test -e '{}/pyvenv.cfg' \; -prune -o -type f \
        \( -name '*.[ch]' -o -name '*.md' -o -name '*.sh' -o -name '*.py' -o -name '*.map' -o -name '*.in' \
        -o -name Makefile -o -name run -path './.ci/*' -o -name .editorconfig -o -name .clang-format \
        -o -name .gitignore -o -name LICENSE \) -print | sort
}

scripts() {
    texts | grep -E '\.sh$|^\./\.ci/run$'
}

# Prints the files as FILE:LINE:CODE, comments and the insides of strings taken out.
code() {
    [ $# -gt 0 ] || return 0
    awk '
    FNR == 1 { comment = 0 }
    {
        rest = $0; out = ""
        while (rest != "") {
            if (comment) {
                i = index(rest, "*/")
                if (!i) { rest = ""; break }
                rest = substr(rest, i + 2); comment = 0; out = out " "
                continue
            }
            if (!match(rest, /\/\*|\/\/|"|\047/)) { out = out rest; break }
            out = out substr(rest, 1, RSTART - 1)
            token = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            if (token == "//") break
            if (token == "/*") { comment = 1; continue }
            out = out token
            while (rest != "") {
                c = substr(rest, 1, 1)
                rest = substr(rest, c == "\\" ? 3 : 2)
                if (c == token) break
            }
            out = out token
        }
        print FILENAME ":" FNR ":" out
    }' "$@"
}

# find_calls WHY WORDS FILE...: calls of functions; a member (x.abort, x->abort) or a longer name is another thing.
find_calls() {
    local why=$1 words=$2
    shift 2
    code "$@" | sed 's/^[^:]*:[0-9]*:/&\n/' | awk -v words="$words" -v why="$why" '
    NR % 2 { place = $0; next }
    match($0, "(^|[^A-Za-z0-9_.>]|[^-]>)(" words ")[ \t]*\\(") {
        what = substr($0, RSTART, RLENGTH); gsub(/[^A-Za-z0-9_]/, "", what)
        print place " " what "(): " why
    }'
}

# find_words WHY WORDS FILE...
find_words() {
    local why=$1 words=$2
    shift 2
    code "$@" | sed 's/^[^:]*:[0-9]*:/&\n/' | awk -v words="$words" -v why="$why" '
    NR % 2 { place = $0; next }
    match($0, "(^|[^A-Za-z0-9_])(" words ")([^A-Za-z0-9_]|$)") {
        what = substr($0, RSTART, RLENGTH); gsub(/[^A-Za-z0-9_]/, "", what)
        print place " " what ": " why
    }'
}

bans() {
    local lib include all
    cd "$root" || exit 2
    mapfile -t lib < <(sources lib)
    mapfile -t include < <(sources include)
    mapfile -t all < <(sources lib include examples tests)

    find_calls "banned; use snprintf and check its result, or memcpy with a checked length" \
        "v?sprintf|strcat|strcpy|strncpy|strncat|stpcpy|gets|strtok|alloca" "${all[@]}"
    find_calls "banned; use strtol and check where it stopped" "ato(i|l|ll|f)" "${all[@]}"
    find_calls "the library never prints; use the log hook" "v?f?printf|dprintf|f?puts|putchar|perror" "${lib[@]}"
    find_calls "the library never ends its host; return an error" "abort|_?exit|_Exit|quick_exit|assert" "${lib[@]}"
    find_calls "the library changes no global state" \
        "signal|sigaction|setlocale|srand|setenv|putenv|umask|chdir|system|popen" "${lib[@]}"
    find_words "its size or meaning differs between machines or compilers; use a type of stdint.h" \
        "long|off_t|time_t|ssize_t|bool|_Bool|FILE|va_list" "${include[@]}"
    # shellcheck disable=SC2016
    [ ${#all[@]} -eq 0 ] || awk 'FNR == 1 && !/SPDX-License-Identifier: MIT/ {
        print FILENAME ":1: first line is not the SPDX license line" }' "${all[@]}"
    [ ${#lib[@]} -eq 0 ] || grep -nHE 'TO''DO|FIX''ME|XX''X' "${lib[@]}" | sed 's/$/  (finish it, or open an issue)/'

    mapfile -t all < <(texts)
    [ ${#all[@]} -eq 0 ] && return
    grep -nHE '[[:space:]]+$' "${all[@]}" | sed 's/$/  (white space at the end of the line)/'
    grep -nHE '(^|[^A-Za-z0-9_.}])/(wor[k]|roo[t]|hom[e])(/|[^A-Za-z0-9_.-]|$)' "${all[@]}" |
        sed 's/$/  (a path of one machine)/'
    for file in "${all[@]}"; do
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
            echo "$file: no line break at the end of the file"
        fi
    done
}

warnings() {
    local file long=()
    cd "$root" || exit 2
    for file in $(sources lib examples tests); do
        if [ "$(wc -l <"$file")" -gt 700 ]; then
            long+=("$file")
        fi
    done
    if [ ${#long[@]} -gt 0 ]; then
        echo "note: more than 700 lines are hard to keep in mind: ${long[*]}"
    fi
}

formatting() {
    local tool
    cd "$root" || exit 2
    # Other major versions format differently, so that only this one may judge.
    for tool in clang-format-14 clang-format; do
        if command -v "$tool" >/dev/null && "$tool" --version | grep -q 'version 14\.'; then
            sources lib include tests examples | xargs -r "$tool" --dry-run -Werror 2>&1 |
                sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error: .*/\1: not formatted; run make format/p' | sort -u
            return
        fi
    done
    echo "note: clang-format 14 is not installed; formatting was not checked" >&2
}

spelling() {
    cd "$root" || exit 2
    if command -v codespell >/dev/null; then
        texts | xargs -r codespell -q 3 -L "$spelling_ok" 2>&1
    else
        echo "note: codespell is not installed; spelling was not checked" >&2
    fi
}

shell_scripts() {
    cd "$root" || exit 2
    if command -v shellcheck >/dev/null; then
        scripts | xargs -r shellcheck -f gcc 2>&1
    else
        echo "note: shellcheck is not installed; shell scripts were not checked" >&2
    fi
}

# plant FILE CONTENT EXPECTED: a folder that holds just this file must yield a line with EXPECTED; with EXPECTED empty
# it must yield none.
plant() {
    local folder found
    folder=$(mktemp -d) || exit 2
    mkdir -p "$folder/$(dirname "$1")"
    printf '%b' "$2" >"$folder/$1"
    found=$(LINT_ROOT=$folder "$here/lint.sh" --bans 2>&1)
    rm -rf "$folder"
    planted=$((planted + 1))
    if [ -n "$3" ] && ! grep -qF -- "$3" <<<"$found"; then
        echo "lint.sh --self-test: a planted offence in $1 was not noticed: $2"
        missed=$((missed + 1))
    elif [ -z "$3" ] && [ -n "$found" ] && [ "$found" != "lint: clean" ]; then
        echo "lint.sh --self-test: a false alarm in $1: $found"
        missed=$((missed + 1))
    fi
}

self_test() {
    local head='/* SPDX-License-Identifier: MIT */\n' word missed=0 planted=0
    for word in sprintf strcat strcpy strncpy gets atoi strtok alloca vsprintf; do
        plant lib/base/a.c "$head\tx = $word(y);\n" "$word()"
        plant tests/unit/a.c "$head\tif (!$word (y))\n" "$word()"
    done
    for word in printf fprintf abort exit assert signal; do
        plant lib/base/a.c "$head\t$word(y);\n" "$word()"
        plant examples/a.c "$head\t$word(y);\n" ""
    done
    for word in long off_t time_t bool FILE va_list; do
        plant include/a.h "${head}int f($word x);\n" "$word:"
    done
    plant lib/base/a.c "$head\ta > strcpy(b, c);\n" "strcpy()"
    plant lib/base/a.c "$head/* a */ strcpy(b, c); /* b */\n" "strcpy()"
    plant lib/base/a.c "int x;\n" "SPDX"
    plant lib/base/a.c "$head/* TO""DO */\n" "finish it"
    plant lib/base/a.c "${head}int x; \n" "white space"
    plant lib/base/a.c "${head}int x;" "no line break"
    plant lib/base/a.c "${head}x = \"/hom""e/me\";\n" "a path of one machine"
    # None of these is an offence.
    plant lib/base/a.c "$head\tops->abort(u); /* no strcpy( */ y(\"printf(\"); // exit(1)\n" ""
    plant lib/base/a.c "$head\tmy_exit(1); x.abort (2); _Static_assert(1, \"a\\\\\"\"); f(snprintf(b));\n" ""
    plant lib/base/a.c "$head/* a long way to\n * go, strcpy(a, b) */\nint c = '\"', d = '\\\\'';\n" ""
    plant include/a.h "$head/* As long as it lives: bool, FILE. */\nint belong(int longer);\n" ""
    if [ "$missed" -ne 0 ]; then
        exit 1
    fi
    echo "lint: self-test passed ($planted cases)"
}

case ${1:-} in
--self-test)
    self_test
    exit 0
    ;;
--bans) findings=$(bans) ;;
"")
    warnings
    findings=$(
        bans
        formatting
        spelling
        shell_scripts
    )
    ;;
*)
    echo "usage: lint.sh [--bans | --self-test]" >&2
    exit 2
    ;;
esac
if [ -n "$findings" ]; then
    echo "$findings"
    echo "lint: $(wc -l <<<"$findings") findings"
    exit 1
fi
echo "lint: clean"
