#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every public header compiles alone, pedantic, in every dialect that a host may use, by every compiler that is there (gcc,
# clang, gcc for musl, and CC and CXX); and no public struct has a byte of padding that a caller could leave unset.
set -euo pipefail

cd "$(dirname "$0")/../.."
strict=(-Wall -Wextra -Wpedantic -pedantic -Wconversion -Wshadow -Werror -Iinclude -fsyntax-only)
compiled=0
failed=0

# compile LANGUAGE STANDARD HEADER FLAG...: with the compiler "${cc[@]}"
compile() {
    local language=$1 std=$2 header=$3
    shift 3
    compiled=$((compiled + 1))
    if ! "${cc[@]}" -x "$language" -std="$std" "${strict[@]}" "$@" - <<<"#include <${header#include/}>"; then
        echo "headers: $header does not compile alone with: ${cc[*]} -x $language -std=$std $*" >&2
        failed=$((failed + 1))
    fi
}

# compilers COMMAND...: each that is there, once
compilers() {
    local command
    for command in "$@"; do
        if command -v "${command##* }" >/dev/null; then
            echo "$command"
        fi
    done | awk '!seen[$NF]++'
}

mapfile -t headers < <(find include -name '*.h' | sort)
[ ${#headers[@]} -gt 0 ] || { echo "headers: there is no header in include/" >&2; exit 1; }
mapfile -t for_c < <(compilers gcc clang musl-gcc "${CC:-gcc}")
mapfile -t for_cxx < <(compilers g++ clang++ "${CXX:-g++}")
[ ${#for_c[@]} -gt 0 ] || { echo "headers: no compiler was found" >&2; exit 1; }
[ ${#for_cxx[@]} -gt 0 ] || echo "note: there is no C++ compiler; the headers were not compiled as C++" >&2

for compiler in "${for_c[@]}"; do
    read -r -a cc <<<"$compiler"
    for header in "${headers[@]}"; do
        for std in c99 c11 c17 c2x; do
            compile c $std "$header" -Wstrict-prototypes -Wmissing-prototypes
        done
        compile c c99 "$header" -Wpadded
    done
    # A header that is included twice, and in any order, is one header.
    compiled=$((compiled + 1))
    printf '#include <%s>\n' "${headers[@]#include/}" "${headers[@]#include/}" |
        "${cc[@]}" -x c -std=c99 "${strict[@]}" - || failed=$((failed + 1))
done
for compiler in "${for_cxx[@]}"; do
    read -r -a cc <<<"$compiler"
    for header in "${headers[@]}"; do
        for std in c++98 c++11 c++14 c++17 c++20; do
            compile c++ $std "$header"
        done
    done
done

# The check itself has to notice: a struct with a hole in it is refused.
read -r -a cc <<<"${for_c[0]}"
if echo 'struct hole { char a; long b; };' | "${cc[@]}" -x c -std=c99 -Wpadded -Werror -fsyntax-only - 2>/dev/null; then
    echo "headers: -Wpadded does not see a hole" >&2
    failed=$((failed + 1))
fi

[ "$failed" -eq 0 ] || { echo "headers: $failed of $compiled compilations failed" >&2; exit 1; }
echo "headers: ${#headers[@]} headers, $compiled compilations by ${for_c[*]} ${for_cxx[*]}"
