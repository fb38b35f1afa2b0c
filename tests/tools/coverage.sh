#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What of lib/ the test programs run: a table, and a list of every branch that they do not take.
#
# Built with gcc -O0 --coverage in a folder of its own, because an optimiser merges branches. Each operand of && and ||
# is two branches, each case of a switch is one; nothing is excluded, neither by option nor by mark in the source. What
# a child did is counted up to where T_LAST_WORDS() was called. Fails if a test does, or if fewer branches of a part are
# taken than tests/coverage wants.
#
# Expects RUN_MAKE (with its options). COVERAGE_ONLY=1 prints again what the last run gathered.
set -euo pipefail
export TEST_TIMEOUT=${TEST_TIMEOUT:-900} # without an optimiser, and counting

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
out=build/coverage
build=("${make[@]}" -s B="$out" CC=gcc CPPFLAGS=-DT_COVERAGE
    CFLAGS='-O0 -g --coverage -fprofile-update=atomic -Wno-conversion')
raw=$out/gcovr.json

failed=0
gather() {
    # Counts of an earlier run would be added to, and are wrong once the code has changed.
    find "$out" -name '*.gcda' -delete 2>/dev/null || true
    # Warnings are for the other builds: without an optimiser the vector intrinsics are macros that convert.
    "${build[@]}" tests
    "${build[@]}" unit || failed=1 # counted all the same
    rm -f ./-.gcno # of the Makefile trying flags
    gcovr --root . --gcov-executable gcov --no-markers --filter lib/ --json "$raw" "$out/obj/lib"
}

if [ -z "${COVERAGE_ONLY:-}" ]; then
    gather
fi
python3 tests/tools/coverage.py "$raw" tests/coverage "$out/coverage.txt" || failed=1
exit "$failed"
