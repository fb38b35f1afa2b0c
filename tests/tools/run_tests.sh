#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs cmocka programs, each with a time limit, and adds up what they report.
#
#   run_tests.sh LOG_FOLDER PROGRAM...
#
# One line for each program, the log of each that failed, and "N passed, M failed" at the end. With TALLY=FILE the
# closing line goes to that file instead. Also: TEST_TIMEOUT (seconds for a program), TEST_JOBS (programs at once),
# TEST_WRAP (a command to run programs under).
set -uo pipefail

# Sums the group summaries of cmocka; they are printed at the very end of a group, so that neither a child process nor
# a crash can add to them.
count() {
    sed -n "s/^\[  $1  *\] .*\b\([0-9][0-9]*\) test(s)[.,].*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

run_one() {
    local log_folder=$1 program=$2 name log status passed failed skipped note="" start elapsed
    name=$(basename "$(dirname "$program")")/$(basename "$program")
    log=$log_folder/${name//\//_}.log
    start=$(date +%s%N)
    # shellcheck disable=SC2086 # TEST_WRAP is a command with arguments
    { timeout --kill-after=5 "${TEST_TIMEOUT:-240}" ${TEST_WRAP:-} "$program" </dev/null >"$log" 2>&1; } 2>/dev/null
    status=$?
    elapsed=$((($(date +%s%N) - start) / 1000000))
    passed=$(count PASSED "$log")
    failed=$(count FAILED "$log")
    skipped=$(count SKIPPED "$log")
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        note="not finished within ${TEST_TIMEOUT:-240} s, or killed"
    elif [ "$status" -gt 128 ]; then
        note="died of signal $((status - 128))"
    elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
        note="exit code $status"
    elif [ "$status" -eq 0 ] && [ "$((passed + skipped))" -eq 0 ]; then
        note="ran no test"
    elif [ "$status" -eq 0 ] && [ "$failed" -ne 0 ]; then
        note="reports failures, but exit code 0"
    fi
    # What cmocka could not count, for it did not live to do so, is one failure.
    if [ -n "$note" ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    if [ "$skipped" -ne 0 ]; then
        note="${note:+$note; }$skipped skipped"
    fi
    echo "$passed $failed" >"$log_folder/${name//\//_}.result"
    printf '  %-4s %-40s %4d passed %3d failed %6d ms%s\n' "$([ "$failed" -eq 0 ] && echo ok || echo FAIL)" \
        "$name" "$passed" "$failed" "$elapsed" "${note:+  ($note)}"
}

if [ "${1:-}" = --one ]; then
    run_one "$2" "$3"
    exit 0
fi

if [ $# -lt 1 ]; then
    echo "usage: run_tests.sh LOG_FOLDER PROGRAM..." >&2
    exit 2
fi
log_folder=$1
shift
mkdir -p "$log_folder" && rm -f "$log_folder"/*.log "$log_folder"/*.result || exit 2

# allocator_may_return_null: running out of memory is among the things tested. die_after_fork: fork() is, too.
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:die_after_fork=0:allocator_may_return_null=1}

if [ $# -gt 0 ]; then
    printf '%s\0' "$@" | xargs -0 -n 1 -P "${TEST_JOBS:-2}" "$0" --one "$log_folder"
fi

for result in "$log_folder"/*.result; do
    [ -e "$result" ] || continue
    read -r _ failed <"$result"
    [ "$failed" -ne 0 ] || continue
    echo
    echo "---- ${result%.result}.log (its last 150 lines)"
    tail -n 150 "${result%.result}.log"
done

passed=0
failed=0
programs=0
for result in "$log_folder"/*.result; do
    [ -e "$result" ] || continue
    read -r p f <"$result"
    passed=$((passed + p))
    failed=$((failed + f))
    programs=$((programs + 1))
done
if [ "$programs" -ne $# ]; then
    echo "$(($# - programs)) of $# programs left no result (killed?)"
    failed=$((failed + $# - programs))
fi
if [ "$((passed + failed))" -eq 0 ]; then
    echo "No test was run."
fi
echo "$passed passed, $failed failed" >>"${TALLY:-/dev/stdout}"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
