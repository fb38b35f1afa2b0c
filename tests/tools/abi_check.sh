#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The binary interface, seen from outside: the libraries are compiled and linked as promised, and what is in tests/abi/.
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

for script in tests/abi/test_*.sh; do
    B=$B CC=$CC CXX=$CXX "$script" || fail "$script failed"
done
echo "abi: ${told#; }; $hard examples hardened as they are"
