#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The binary interface, seen from outside: every public header compiles alone as C and as C++, what the headers declare
# is what the maps list is what the shared libraries export, and these are linked as promised.
# Expects B (the build folder, with the libraries in it), CC and CXX.
set -euo pipefail

cd "$(dirname "$0")/../.."
B=${B:-build} CC=${CC:-cc} CXX=${CXX:-c++}
read -r -a cc <<<"$CC" # "ccache gcc"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
so=$B/librecoptout.so.2
agent=$B/librecoptout-agent.so.2

fail() {
    echo "abi: $*" >&2
    exit 1
}

# ---- every header alone, pedantic

strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude -fsyntax-only)
while read -r header; do
    for std in c99 c11 c17; do
        "${cc[@]}" -std=$std -Wstrict-prototypes "${strict[@]}" -x c - <<<"#include <${header#include/}>" ||
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

# same LIBRARY MAP HEADER...: what these headers declare is what is listed and exported.
same() {
    local library=$1 map=$2 declared
    shift 2
    cat "$@" | grep '^RCO_API' | sed -n 's/^RCO_API [^(]*\b\(rco_[a-z0-9_]*\)(.*/\1/p' | sort >"$work/header"
    declared=$(cat "$@" | grep -c '^RCO_API')
    [ "$(wc -l <"$work/header")" -eq "$declared" ] ||
        fail "$declared declarations begin with RCO_API, but only $(wc -l <"$work/header") names were understood"
    [ -s "$work/header" ] || fail "no declaration was found in $*"
    sed -e 's|/\*.*\*/||' "$map" | grep -v '^ *[/*#]' | grep -oE '\brco_[a-z0-9_*]+ *;' | tr -d ' ;' |
        sort >"$work/map"
    if grep -n 'rco_[a-z0-9_]*\*' "$map"; then
        fail "$map has a wildcard; every symbol is named"
    fi
    nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/library"
    diff "$work/header" "$work/map" >"$work/diff" ||
        fail "headers (<) and $map (>) differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
    diff "$work/map" "$work/library" >"$work/diff" ||
        fail "$map (<) and the symbols that $library exports (>) differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
    if nm -D --defined-only "$library" | awk '$2 != "A" && $3 !~ /@/ { print; bad = 1 } END { exit !bad }'; then
        fail "exported by $library without a version (above)"
    fi
    functions=$((functions + declared))
}

functions=0
agents=(include/recoptout/agent.h include/recoptout/control.h)
mapfile -t others < <(find include -name '*.h' ! -name agent.h ! -name control.h)
same "$so" lib/recoptout.map "${others[@]}"
same "$agent" lib/recoptout-agent.map "${agents[@]}"

# ---- linked as promised

# linked_hard FILE: what it links is bound at once and read-only from then on, no memory is writable and executable.
linked_hard() {
    dynamic=$(LC_ALL=C readelf -d "$1")
    segments=$(LC_ALL=C readelf -lW "$1")
    grep -qE 'BIND_NOW|Flags:.*NOW' <<<"$dynamic" || fail "$1 is not linked with -z now"
    grep -q 'GNU_RELRO' <<<"$segments" || fail "$1 is not linked with -z relro"
    grep -q 'GNU_STACK.* RW ' <<<"$segments" || fail "the stack of $1 is executable"
    ! grep -qE 'LOAD.* RWE ' <<<"$segments" || fail "$1 has memory that is writable and executable"
    ! grep -q TEXTREL <<<"$dynamic" || fail "$1 has text relocations"
}

hard=0
while read -r program; do
    if LC_ALL=C readelf -h "$program" 2>/dev/null | grep -qE 'Type: +(DYN|EXEC)'; then
        linked_hard "$program"
        hard=$((hard + 1))
    fi
done < <(find "$B/examples" -maxdepth 1 -type f)
[ "$hard" -gt 0 ] || fail "no example is built in $B/examples"

# needs FILE SONAME LIBRARY...: linked under that name, and with these libraries and the C library's alone.
needs() {
    local file=$1 name=$2 library
    shift 2
    linked_hard "$file"
    grep -qF "Library soname: [$name]" <<<"$dynamic" || fail "the SONAME of $file is not $name"
    needed=$(sed -n 's/.*Shared library: \[\(.*\)\]/\1/p' <<<"$dynamic" | sed 's/\.so.*//' | sort -u | xargs)
    for library in $needed; do
        [[ " libc libm libpthread $* " == *" $library "* || $library == ld-linux-* ]] ||
            fail "$file is linked with $library, which is not among the libraries that it needs"
    done
    told+="; $name needs $needed"
}

told=
needs "$so" librecoptout.so.2 libsodium libzstd libuuid
needs "$agent" librecoptout-agent.so.2 librecoptout libjansson

# ---- compiled as hard as this compiler can

# can FLAG...: does the compiler have it for this processor?
can() {
    "${cc[@]}" -Werror -O2 "$@" -x c -c - -o "$work/can.o" <<<'#include <string.h>' 2>/dev/null
}

# Debian and others say themselves how much they want: then the flags are theirs.
flags=$(cat "$B/.flags")
macros=$("${cc[@]}" -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -include string.h -dM -E -x c /dev/null)
# compiled_hard FILE FUNCTION
compiled_hard() {
    local code undefined
    code=$(LC_ALL=C objdump -d --disassemble="$2" "$1")
    undefined=$(nm -D --undefined-only "$1")
    if [[ $flags == *" -O"[123s]* && $flags != *-fsanitize* && $macros == *"__USE_FORTIFY_LEVEL 2"* ]]; then
        grep -q '__[a-z]*_chk@' <<<"$undefined" || fail "no function of $1 is fortified (_FORTIFY_SOURCE)"
    fi
    grep -q '__stack_chk_fail' <<<"$undefined" || fail "stacks of $1 are not protected (-fstack-protector-strong)"
    if can -fcf-protection=full; then
        grep -qE 'endbr(64|32)' <<<"$code" || fail "jumps of $1 are not protected (-fcf-protection)"
    elif can -mbranch-protection=standard; then
        grep -qE 'paciasp|bti' <<<"$code" || fail "jumps of $1 are not protected (-mbranch-protection)"
    fi
}
compiled_hard "$so" rco_opt_out
compiled_hard "$agent" rco_tool_call
if can -fstack-clash-protection; then
    [[ $flags == *-fstack-clash-protection* ]] || fail "stacks may jump over their guard (-fstack-clash-protection)"
fi

# ---- further checks

for script in tests/abi/*.sh; do
    if [ -e "$script" ]; then
        B=$B CC=$CC CXX=$CXX "$script" || fail "$script failed"
    fi
done
echo "abi: $functions functions in headers, maps and libraries$told; $hard examples hardened as they are"
