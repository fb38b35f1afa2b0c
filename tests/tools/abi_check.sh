#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The binary interface, seen from outside: every public header compiles alone as C and as C++, what the headers declare
# is what the map lists is what the shared library exports, and the library is linked as promised.
# Expects B (the build folder, with the library in it), CC and CXX.
set -euo pipefail

cd "$(dirname "$0")/../.."
B=${B:-build} CC=${CC:-cc} CXX=${CXX:-c++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
so=$B/librecoptout.so.1

fail() {
    echo "abi: $*" >&2
    exit 1
}

# ---- every header alone, pedantic

strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude -fsyntax-only)
while read -r header; do
    for std in c99 c11 c17; do
        "$CC" -std=$std -Wstrict-prototypes "${strict[@]}" -x c - <<<"#include <${header#include/}>" ||
            fail "$header does not compile alone as $std"
    done
    if command -v "$CXX" >/dev/null; then
        for std in c++11 c++17; do
            "$CXX" -std=$std "${strict[@]}" -x c++ - <<<"#include <${header#include/}>" ||
                fail "$header does not compile alone as $std"
        done
    else
        echo "note: $CXX is not installed; the headers were not compiled as C++" >&2
    fi
done < <(find include -name '*.h')

# ---- header = map = library

find include -name '*.h' -exec cat {} + | grep '^RCO_API' |
    sed -n 's/^RCO_API [^(]*\b\(rco_[a-z0-9_]*\)(.*/\1/p' | sort >"$work/header"
declared=$(find include -name '*.h' -exec cat {} + | grep -c '^RCO_API')
[ "$(wc -l <"$work/header")" -eq "$declared" ] ||
    fail "$declared declarations begin with RCO_API, but only $(wc -l <"$work/header") names were understood"
[ -s "$work/header" ] || fail "no declaration was found in include/"

sed -e 's|/\*.*\*/||' lib/recoptout.map | grep -v '^ *[/*#]' | grep -oE '\brco_[a-z0-9_*]+ *;' | tr -d ' ;' |
    sort >"$work/map"
if grep -n 'rco_[a-z0-9_]*\*' lib/recoptout.map; then
    fail "lib/recoptout.map has a wildcard; every symbol is named"
fi
nm -D --defined-only "$so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/library"

diff "$work/header" "$work/map" >"$work/diff" ||
    fail "headers (<) and lib/recoptout.map (>) differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
diff "$work/map" "$work/library" >"$work/diff" ||
    fail "lib/recoptout.map (<) and the exported symbols (>) differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
if nm -D --defined-only "$so" | awk '$2 != "A" && $3 !~ /@/ { print; bad = 1 } END { exit !bad }'; then
    fail "exported without a version (above)"
fi

# ---- linked as promised

dynamic=$(LC_ALL=C readelf -d "$so")
segments=$(LC_ALL=C readelf -lW "$so")
grep -q 'Library soname: \[librecoptout.so.1\]' <<<"$dynamic" || fail "the SONAME is not librecoptout.so.1"
grep -qE 'BIND_NOW|Flags:.*NOW' <<<"$dynamic" || fail "not linked with -z now"
grep -q 'GNU_RELRO' <<<"$segments" || fail "not linked with -z relro"
grep -q 'GNU_STACK.* RW ' <<<"$segments" || fail "the stack is executable"
! grep -q TEXTREL <<<"$dynamic" || fail "has text relocations"
needed=$(sed -n 's/.*Shared library: \[\(.*\)\]/\1/p' <<<"$dynamic" | sed 's/\.so.*//' | sort -u | xargs)
for library in $needed; do
    case $library in
    libc | libm | libpthread | libsodium | libzstd | libjansson | libuuid | ld-linux-*) ;;
    *) fail "linked with $library, which is not among the libraries that it needs" ;;
    esac
done

# ---- further checks

for script in tests/abi/*.sh; do
    if [ -e "$script" ]; then
        B=$B CC=$CC CXX=$CXX "$script" || fail "$script failed"
    fi
done
echo "abi: $(wc -l <"$work/header") functions in headers, map and library; needs $needed"
