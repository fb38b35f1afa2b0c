#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks the Spin model of docs/model.md exhaustively, then its mutants, each of which has to be caught, then the spare
# fences, without each of which nothing must be found.
#   run.sh            all of it, about two minutes of one core
#   run.sh --quick    the model (two calls with one crash instead of three) and three mutants, under 40 s
#   run.sh NAME...    these mutants or spare fences only
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# One call with everything that can happen to it, and a store that loses; the same without a host's recorder, whose file has the journal synced
# early, and known from the start; two calls side by side, with fewer steps each and a prompt store.
one=(-DCALLS=1 -DFRAMES=2 -DFAULTS=2 -DSLOW=1 -DLOSES=1 -DHOSTED=1 -DUNBORN=1)
plain=(-DCALLS=1 -DFRAMES=2 -DFAULTS=2 -DSLOW=1)
two=(-DCALLS=2 -DFRAMES=1 -DFRAMES1=1 -DFAULTS=0 -DSLOW=0 -DCOARSE=3)

# Which runs have to find a mutant. All others are for one call.
declare -A needs_two=([other_call_latched]=1 [sync_counts_the_queue]=1) needs_plain=([journal_before_ring_back]=1)

fail() {
    echo "FAILED: $*" >&2
    failed=1
}

# build DIR OPTIMISATION CC-FLAGS SPIN-FLAGS...
build() {
    local dir=$work/$1 level=$2 flags=$3
    shift 3
    mkdir -p "$dir"
    cp "$here/recoptout.pml" "$dir"
    # shellcheck disable=SC2086 # flags are several
    (cd "$dir" && spin "$@" -a recoptout.pml >spin.log 2>&1 &&
        gcc "$level" -w $flags -DNOREDUCE -DMEMLIM=3000 -o pan pan.c >cc.log 2>&1) ||
        { cat "$dir"/*.log >&2; echo "The model cannot be built: $*" >&2; exit 1; }
}

# search DIR PAN-FLAGS...: all states, none left out by depth or memory.
search() {
    local dir=$work/$1 start=$EPOCHREALTIME
    shift
    (cd "$dir" && { ./pan -m5000 "$@" || true; }) >"$dir/out" 2>&1
    seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    states=$(awk '/states, stored/ { print $1; exit }' "$dir/out")
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$dir/out" | head -n 1)
    what=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$dir/out" | head -n 1)
}

# The comment of the line that was violated says which promise it is.
promise() {
    local line
    (cd "$work/$1" && { spin "${@:2}" -t -p recoptout.pml || true; }) >"$work/$1/trail" 2>/dev/null
    line=$(sed -n 's/^spin: recoptout.pml:\([0-9]*\), Error: assertion violated.*/\1/p' "$work/$1/trail" | head -n 1)
    [ -z "$line" ] || sed -n "${line}p" "$here/recoptout.pml" | sed -n 's|.*/\* \(.*\) \*/.*|\1|p'
}

complete() {
    ! grep -qE 'Search not completed|max search depth too small|out of memory|reached -DMEMLIM|truncated' \
        "$work/$1/out"
}

row() {
    printf '%-34s %10s %8s  %s\n' "$1" "$2" "$3" "$4"
}

# hold NAME TITLE PAN-FLAGS: no error, and nothing left out.
hold() {
    search "$1" "${@:3}"
    if [ "$errors" != 0 ] || ! complete "$1"; then
        row "$2" "$states" "$seconds" "ERROR: ${what:-not complete}"
        fail "$2; see the promise: $(promise "$1" || true)"
    else
        row "$2" "$states" "$seconds" "holds"
    fi
}

# Lines of the model that no run reached, but for the ends of loops.
unreached() {
    sed -n 's/^\trecoptout.pml:\([0-9]*\), state [0-9]*, "\(.*\)"/\1 \2/p' "$work/$1/out" | grep -v -- '-end-' | sort -u
}

reached() {
    local lost
    lost=$(comm -12 <(unreached one | cut -d' ' -f1 | sort -u) <(unreached two | cut -d' ' -f1 | sort -u))
    if [ -n "$lost" ]; then
        fail "steps of the model that no run reaches, in lines: $(tr '\n' ' ' <<<"$lost")"
    fi
}

model() {
    build one -O2 -DSAFETY "${one[@]}" -DCRASHES=3
    hold one "one call, 3 crashes, 2 faults" -w22
    build plain -O2 -DSAFETY "${plain[@]}" -DCRASHES=3
    hold plain "the same, pushed only" -w22
    build two -O2 -DSAFETY "${two[@]}" -DCRASHES="$1"
    hold two "two calls, $1 crash(es)" -w24
    reached
}

# Every run ends: there is no cycle at all. So each reaches an end, where Judge looks.
ends() {
    build ends -O2 -DNP "${one[@]}" -DCRASHES=3
    hold ends "one call: every run ends" -w22 -l
}

mutant() {
    local name=$1 flags=("${one[@]}")
    if [ -n "${needs_two[$name]:-}" ]; then flags=("${two[@]}"); fi
    build "m_$name" -O0 -DSAFETY "${flags[@]}" "-DMUTANT_$name"
    search "m_$name" -w20
    if [ "${errors:-0}" = 0 ] || [ -z "$what" ]; then
        row "$name" "$states" "$seconds" "NOT CAUGHT"
        fail "mutant $name is not caught"
        return
    fi
    row "$name" "$states" "$seconds" "$(promise "m_$name" "${flags[@]}" "-DMUTANT_$name")"
    rm -rf "${work:?}/m_$name"
}

spare() {
    local flags=("${one[@]}")
    if [ -n "${needs_plain[$1]:-}" ]; then flags=("${plain[@]}"); fi
    build "s_$1" -O1 -DSAFETY "${flags[@]}" "-DSPARE_$1"
    hold "s_$1" "$1" -w22
    rm -rf "${work:?}/s_$1"
}

names() {
    grep -oE "$1_[a-z_]+" "$here/recoptout.pml" | sed "s/^$1_//" | sort -u
}

command -v spin >/dev/null || { echo "spin is not installed: tests/tools/packages.sh model" >&2; exit 1; }
mapfile -t mutants < <(names MUTANT)
mapfile -t spares < <(names SPARE)
row "run" "states" "seconds" "result"
case ${1:-} in
--quick)
    model 1
    mutants=(erase_before_durable no_intent permission_unguarded)
    spares=()
    ;;
"")
    model 3
    ends
    ;;
*)
    mapfile -t mutants < <(comm -12 <(printf '%s\n' "$@" | sort -u) <(names MUTANT))
    mapfile -t spares < <(comm -12 <(printf '%s\n' "$@" | sort -u) <(names SPARE))
    ;;
esac
if [ ${#mutants[@]} -gt 0 ]; then row "mutant" "states" "seconds" "violates"; fi
for name in "${mutants[@]}"; do mutant "$name"; done
if [ ${#spares[@]} -gt 0 ]; then row "without this fence" "states" "seconds" "result"; fi
for name in "${spares[@]}"; do spare "$name"; done
echo "model: ${#mutants[@]} mutants, ${#spares[@]} spare fences, $SECONDS s"
exit "$failed"
