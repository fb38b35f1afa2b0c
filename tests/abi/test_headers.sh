#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every public header compiles alone, pedantic, in every dialect that a host may use, by every compiler that is there;
# and no public struct has a byte of padding that a caller could leave unset.
#
#   test_headers.sh [BUILD_FOLDER]     (nothing of it is needed)
set -euo pipefail

cd "$(dirname "$0")/../.."
strict=(-Wall -Wextra -Wpedantic -pedantic -Wconversion -Wshadow -Werror -Iinclude -fsyntax-only)
compiled=0
failed=0

# compile COMPILER LANGUAGE STANDARD HEADER FLAG...
compile() {
    local compiler=$1 language=$2 std=$3 header=$4
    shift 4
    compiled=$((compiled + 1))
    if ! "$compiler" -x "$language" -std="$std" "${strict[@]}" "$@" - <<<"#include <${header#include/}>"; then
        echo "headers: $header does not compile alone with: $compiler -x $language -std=$std $*" >&2
        failed=$((failed + 1))
    fi
}

have() {
    command -v "$1" >/dev/null
}

mapfile -t headers < <(find include -name '*.h' | sort)
[ ${#headers[@]} -gt 0 ] || { echo "headers: there is no header in include/" >&2; exit 1; }

for header in "${headers[@]}"; do
    for compiler in gcc clang; do
        have "$compiler" || continue
        for std in c99 c11 c17; do
            compile "$compiler" c $std "$header" -Wstrict-prototypes -Wmissing-prototypes
        done
        compile "$compiler" c c99 "$header" -Wpadded
    done
    for compiler in g++ clang++; do
        have "$compiler" || continue
        for std in c++98 c++11 c++17; do
            compile "$compiler" c++ $std "$header"
        done
    done
done

# A header that is included twice, and in any order, is one header.
for compiler in gcc clang; do
    have "$compiler" || continue
    compiled=$((compiled + 1))
    {
        for header in "${headers[@]}" "${headers[@]}"; do
            echo "#include <${header#include/}>"
        done
    } | "$compiler" -x c -std=c99 "${strict[@]}" - || failed=$((failed + 1))
done

# The check itself has to notice: a struct with a hole in it is refused.
if have gcc && echo 'struct hole { char a; long b; };' | gcc -x c -std=c99 -Wpadded -Werror -fsyntax-only - 2>/dev/null; then
    echo "headers: -Wpadded does not see a hole" >&2
    failed=$((failed + 1))
fi

[ "$compiled" -gt 0 ] || { echo "headers: no compiler was found" >&2; exit 1; }
[ "$failed" -eq 0 ] || { echo "headers: $failed of $compiled compilations failed" >&2; exit 1; }
echo "headers: ${#headers[@]} headers, $compiled compilations"
