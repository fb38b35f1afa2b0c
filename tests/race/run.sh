#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Races: every interleaving of the threads that meet at a ring, litmus tests of the gate here and built for arm64, stress
# tests under ThreadSanitizer, and some of them under helgrind.
#
#   run.sh [MILLIONS]     rounds of each litmus test, 20 if not told
#
# Under qemu on x86 the host's order of memory stays in force, so arm64 shows that the code works there, not that a weaker
# machine keeps the promise: that is what the store buffers of test_interleave are for, and the look at the instructions.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory -j2}"
millions=${1:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict=(-std=c11 -O2 -Iinclude -D_GNU_SOURCE -pthread -Wall -Wextra -Werror)

row() {
    printf '%-46s %6d s\n' "$1" "$((SECONDS - begin))"
}

begin=$SECONDS
"${make[@]}" -s B=build build/tests/race/test_interleave
build/tests/race/test_interleave 2>&1 | grep -v '^\['
row "interleavings of the shipped gate"

begin=$SECONDS
gcc "${strict[@]}" tests/race/litmus_gate.c -o "$work/here"
"$work/here" "$millions"
row "litmus tests on $(uname -m)"

begin=$SECONDS
aarch64-linux-gnu-gcc "${strict[@]}" -mno-outline-atomics tests/race/litmus_gate.c -o "$work/arm64"
qemu-aarch64-static -L /usr/aarch64-linux-gnu "$work/arm64" 1
# What the library's own code asks of such a processor, function by function.
asks() {
    local file=$1 function=$2 instruction
    aarch64-linux-gnu-gcc "${strict[@]}" -Wno-error -mno-outline-atomics -c "lib/session/$file.c" -o "$work/$file.o"
    aarch64-linux-gnu-objdump -d --disassemble="$function" "$work/$file.o" >"$work/$file.s"
    for instruction in "${@:3}"; do
        if ! grep -qw "$instruction" "$work/$file.s"; then
            echo "race: $function has no $instruction on arm64: the gate's order is not asked for" >&2
            exit 1
        fi
    done
}
asks push rco_session_push ldar ldaxr stlxr # the frame's bytes before its commit, by one acquire-release swap
asks push rco_frames_push ldar ldaxr stlxr
asks leg rco__gates_set ldar ldaxr stlxr # the stop, in the same word
asks drain rco__drain ldar               # what was committed is seen whole
row "litmus tests for arm64, under qemu"

begin=$SECONDS
stress=(promises/test_p01_stop promises/test_p06_once promises/test_p10_media_path unit/test_many_calls
    unit/test_mass_opt_out unit/test_push_frames unit/test_gaps unit/test_control unit/test_listen unit/test_fairness)
wrap=''
gcc -fsanitize=thread -x c - -o "$work/t" <<<'int main(void) { return 0; }'
"$work/t" 2>/dev/null || wrap='setarch -R' # see tests/tools/check.sh
for round in 1 2 3; do
    TEST_WRAP=$wrap "${make[@]}" -s SAN=thread CC=gcc TESTS="${stress[*]/#/build/tsan/tests/}" unit | tail -n 1
done
row "stress tests under ThreadSanitizer, $round rounds"

begin=$SECONDS
# A build of its own, in which each atomic operation tells the tool what it orders (valgrind_atomics.h).
"${make[@]}" -s B=build/valgrind CC=gcc CPPFLAGS='-include tests/race/valgrind_atomics.h' CFLAGS='-O1 -g -w' \
    build/valgrind/tests/{promises/test_p06_once,unit/test_listen,unit/test_control}
under_helgrind() {
    valgrind -q --tool=helgrind --suppressions=tests/race/valgrind.supp --error-exitcode=9 \
        "build/valgrind/tests/$1" >"$work/helgrind" 2>&1
}
for test in promises/test_p06_once unit/test_listen unit/test_control; do
    under_helgrind "$test" || { cat "$work/helgrind"; echo "race: helgrind, $test" >&2; exit 1; }
done
if RACE_UNTOLD=1 under_helgrind promises/test_p06_once; then
    echo "race: helgrind finds nothing even where no order is told: it looks at nothing" >&2
    exit 1
fi
row "three stress tests under helgrind, and the control"
