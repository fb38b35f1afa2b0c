#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The binary interface is as it was saved (make abi-dump), but for what tests/abi/changes lists; the libraries that were built
# have the interface of the headers; and abidiff sees what it has to see, in copies that are changed here. See docs/abi.md.
#
#   test_dump.sh     B=BUILD_FOLDER; default build
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${B:-build}
for tool in abidw abidiff gcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "note: $tool is not installed; the interface was not compared with the one that was saved" >&2
        exit 0
    fi
done
if [[ $(gcc -dM -E -x c /dev/null) != *__LP64__* ]]; then
    echo "note: what is saved is the interface of 64-bit machines; here it was not compared" >&2
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "dump: $*" >&2
    exit 1
}

# differ OPTION... OLD NEW: says what is changed, if anything is
differ() {
    local status=0
    abidiff --leaf-changes-only --no-architecture --harmless "$@" >"$work/said" || status=$?
    [ $((status & 3)) -eq 0 ] || fail "abidiff failed: $*"
    [ $status -eq 0 ] || awk '/ summary: |^[0-9]+ |^$/ { next } /details were reported earlier/ { held = ""; next }
        { if (held != "") print held; held = $0; said = 1 } END { if (held != "") print held; exit !said }' "$work/said" ||
        fail "abidiff found a change and did not say which: $*"
}

# compare FOLDER: are the dumps in it as they were saved, but for what is listed?
compare() {
    {
        differ --non-reachable-types tests/abi/librecoptout.abi "$1/librecoptout.abi"
        differ tests/abi/librecoptout-agent.abi "$1/librecoptout-agent.abi"
    } >"$work/both"
    awk '!seen[$0]++' "$work/both" >"$work/report"
    diff <(sort "$work/listed") <(sort "$work/report") >/dev/null
}

awk 'BEGIN { RS = ""; FS = "\n" } $1 !~ /^# ./ { exit 1 }' tests/abi/changes ||
    fail "a paragraph of tests/abi/changes does not begin with a reason"
grep -vE '^(#.*|\s*)$' tests/abi/changes | awk '!seen[$0]++' >"$work/listed" || :

tests/abi/dump.sh include lib "$work"
if ! compare "$work"; then
    cat "$work/report" >&2
    fail "the interface is not as it was saved, and this (above) is not what tests/abi/changes lists; see docs/abi.md"
fi

# like_built FOLDER: have the libraries that were built, where they have debugging information, the interface that is dumped there?
like_built() {
    local name
    built=0
    for name in librecoptout librecoptout-agent; do
        if LC_ALL=C readelf -SW "$build/$name.so.2" | grep '\.debug_info' >/dev/null; then
            abidw --headers-dir include --drop-private-types --no-corpus-path --no-comp-dir-path --no-architecture \
                --no-elf-needed --no-parameter-names --out-file "$work/built.abi" "$build/$name.so.2"
            differ "$1/$name.abi" "$work/built.abi"
            built=$((built + 1))
        fi
    done >"$work/report"
    [ ! -s "$work/report" ]
}

if ! like_built "$work"; then
    cat "$work/report" >&2
    fail "the libraries in $build have another interface (above) than the headers"
fi

# Changes made in a copy, each of which has to be named.
mkdir -p "$work/copy"
cp -r include lib/*.map "$work/copy"
canaries=0

# change FILE SCRIPT...: by sed
change() {
    local file=$work/copy/$1 script
    shift
    for script in "$@"; do
        cp "$file" "$work/before"
        sed -i "$script" "$file"
        ! cmp -s "$file" "$work/before" || fail "a change that is to be noticed could not be made: $script"
    done
}

# noticed TEXT...
noticed() {
    local text
    tests/abi/dump.sh "$work/copy/include" "$work/copy" "$work/copy"
    ! compare "$work/copy" || fail "abidiff sees no change where many are made"
    for text in "$@"; do
        grep -qF "$text" "$work/report" || fail "abidiff does not see a change that was made in a copy: $text"
        canaries=$((canaries + 1))
    done
}

# A member in the middle, one at the end, one of another type and the same size; an argument; a function; a number that is
# another, and one more; an argument of the second library.
change include/recoptout.h '/^typedef struct rco_engine_config/,/^}/s/^\tuint32_t flags;.*/&\n\tuint64_t canary_middle;/' \
    's/^} rco_pending;/\tuint64_t canary_end;\n&/' '/^typedef struct rco_pending/,/^}/s/^\tuint32_t attempts;/\tint32_t attempts;/' \
    '/rco_engine_wait_idle/s/uint32_t/uint64_t/' '/^RCO_API void rco_memzero/d' 's/RCO_STATUS_HELD = 9/RCO_STATUS_HELD = 99/' \
    's/^\tRCO_FACT_STOPPED = .*/\tRCO_FACT_CANARY = 1u << 20,\n&/'
change include/recoptout/agent.h '/rco_tool_answer_calls/s/uint32_t/uint64_t/'
noticed canary_middle canary_end rco_pending::attempts 'int rco_engine_wait_idle(' 'void rco_memzero(' "RCO_STATUS_HELD' from" \
    RCO_FACT_CANARY 'uint32_t rco_tool_answer_calls('
if [ $built -gt 0 ]; then
    ! like_built "$work/copy" || fail "the libraries in $build are taken for those of headers that are others"
fi
# And a version node.
cp -r include "$work/copy"
change recoptout.map 's/RECOPTOUT_2/RECOPTOUT_3/'
noticed rco_version@@RECOPTOUT_2
echo "dump: the interface is as saved ($built of 2 libraries that were built compared too); $canaries changes made here were noticed"
