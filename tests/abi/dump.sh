#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a program is bound to that was compiled with the public headers and linked with the libraries, as abidw tells it: a
# text for each library. All types of all headers are in the first.
#
#   dump.sh INCLUDE LIB FOLDER     headers below INCLUDE and maps in LIB; writes FOLDER/librecoptout.abi and
#                                  FOLDER/librecoptout-agent.abi
#
# Told of are not the libraries of a build but two that are made here: the same declarations, the same maps, empty functions.
# So compiler, optimisation and sanitizer of the build do not matter. That headers, maps and the libraries that were built
# agree is what test_symbols.sh and the compiler see to. Enums without a name get one here, of_ and their first value, for
# abidw would number them. C99 has no max_align_t, whose size depends on the processor. Paths and line numbers are left out.
set -euo pipefail

cd "$(dirname "$0")/../.."
include=$1 lib=$2 out=$3

# The kit of conformance.h is a static library: its callers are compiled and linked with one version of it.
find "$include" -name '*.h' ! -name conformance.h -printf '#include <%P>\n' | LC_ALL=C sort |
    gcc -std=c99 -E -P -I"$include" -x c - | sed -zE 's/enum \{\s*(RCO_\w+)/enum of_\1 { \1/g' |
    awk '/^__attribute__\(\(visibility/ { on = 1 } on && sub(/;.*/, " { __builtin_trap(); }") { on = 0 } { print }' >"$out/stub.c"

# dump LIBRARY MAP OPTION...
dump() {
    local name=$1 map=$2
    shift 2
    gcc -std=c99 -g -O0 -fno-eliminate-unused-debug-types -fPIC -shared -nostdlib -Wl,-soname,"$name.so.2" \
        -Wl,--version-script="$lib/$map" "$out/stub.c" -o "$out/$name.so"
    abidw --no-corpus-path --no-comp-dir-path --no-architecture --no-elf-needed --no-parameter-names --type-id-style hash "$@" \
        "$out/$name.so" | sed -E "s/ (filepath|path|line|column)='[^']*'//g" >"$out/$name.abi"
    rm "$out/$name.so"
}

dump librecoptout recoptout.map --load-all-types
dump librecoptout-agent recoptout-agent.map
rm "$out/stub.c"
