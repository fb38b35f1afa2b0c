#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Races: every interleaving of the threads that meet at a ring, litmus tests of the gate here and built for arm64, and
# the stress tests under ThreadSanitizer.
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
for instruction in ldaxr stlxr ldar stlr; do # acquire and release, alone and in a loop
    if ! aarch64-linux-gnu-objdump -d "$work/arm64" | grep -qw "$instruction"; then
        echo "race: the arm64 build has no $instruction: the gate's order is not asked for" >&2
        exit 1
    fi
done
row "litmus tests for arm64, under qemu"

begin=$SECONDS
stress=(promises/test_p01_stop promises/test_p06_once promises/test_p10_media_path unit/test_many_calls
    unit/test_mass_opt_out unit/test_push_frames unit/test_control unit/test_listen unit/test_fairness)
wrap=''
gcc -fsanitize=thread -x c - -o "$work/t" <<<'int main(void) { return 0; }'
"$work/t" 2>/dev/null || wrap='setarch -R' # see tests/tools/check.sh
for round in 1 2 3; do
    TEST_WRAP=$wrap "${make[@]}" -s SAN=thread CC=gcc TESTS="${stress[*]/#/build/tsan/tests/}" unit | tail -n 1
done
row "stress tests under ThreadSanitizer, $round rounds"
