#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make check` does, step by step. The first step that fails ends it; the last line is "N passed, M failed", the
# tests of all runs together.
# Expects RUN_MAKE (with its options). CHECK_ONLY="lint gcc" runs just these steps.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 2
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
begin=$SECONDS
steps=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TALLY=$work/tally
: >"$TALLY"

closing_line() {
    awk -v extra="$1" '{ p += $1; f += $3 } END { if (extra && !f) f = extra; print p + 0 " passed, " f + 0 " failed" }' \
        "$TALLY"
}

# step NAME WHAT COMMAND...
step() {
    local name=$1 what=$2 start=$SECONDS
    shift 2
    if [ -n "${CHECK_ONLY:-}" ] && [[ " $CHECK_ONLY " != *" $name "* ]]; then
        return
    fi
    echo "== $name: $what"
    if ! "$@"; then
        echo
        echo "make check: step \"$name\" failed after $((SECONDS - start)) s: $what"
        echo "to run it alone: make check CHECK_ONLY=$name"
        closing_line 1
        exit 1
    fi
    steps=$((steps + 1))
    echo "   done in $((SECONDS - start)) s"
}

# A compiler whose ThreadSanitizer works here. Kernels that randomise addresses widely break older ones, unless that is
# turned off for the program.
find_tsan() {
    local compiler wrap
    echo 'int main(void) { return 0; }' >"$work/t.c"
    for compiler in gcc clang; do
        for wrap in "" "setarch -R"; do
            # shellcheck disable=SC2086 # wrap is a command with arguments
            if $compiler -fsanitize=thread -g "$work/t.c" -o "$work/t" 2>/dev/null && $wrap "$work/t" 2>/dev/null; then
                tsan_cc=$compiler tsan_wrap=$wrap
                return 0
            fi
        done
    done
    return 1
}

run_tsan() {
    if ! find_tsan; then
        echo "ThreadSanitizer works neither with gcc nor with clang on this machine."
        return 1
    fi
    TEST_WRAP=$tsan_wrap "${make[@]}" -s SAN=thread CC="$tsan_cc" unit
}

run_demo() {
    "${make[@]}" -s demo >"$work/demo.log" 2>&1 || { cat "$work/demo.log"; return 1; }
    tail -n 12 "$work/demo.log"
}

step lint "banned functions, formatting, spelling, shell scripts" "${make[@]}" -s check-lint
step gcc "library, examples and tests without a warning" \
    "${make[@]}" -s CC=gcc WERROR=1 B=build/gcc all
step unit "unit, promise and layout tests" "${make[@]}" -s CC=gcc WERROR=1 B=build/gcc unit
step clang "the same sources without a warning by clang" \
    "${make[@]}" -s CC=clang WERROR=1 B=build/clang all tests
step asan "the tests under AddressSanitizer and UndefinedBehaviorSanitizer" "${make[@]}" -s SAN=address CC=gcc unit
step tsan "the tests under ThreadSanitizer" run_tsan
step abi "headers alone as C and C++; header, map and library agree" \
    "${make[@]}" -s CC=gcc WERROR=1 B=build/gcc check-abi
step install "install, build against it, uninstall" "${make[@]}" -s CC=gcc WERROR=1 B=build/gcc check-install
step readme "the program of README.md as printed" "${make[@]}" -s CC=gcc WERROR=1 B=build/gcc check-readme
step model "the Spin model, and three of its mutants" tests/model/run.sh --quick
step python "the Python package against the installed library" env B=build/gcc RUN_MAKE="${make[*]} CC=gcc WERROR=1" tests/python/run.sh
step agents "MCP, tool definitions and Node, with the platforms' own tools" \
    env B=build/gcc RUN_MAKE="${make[*]} CC=gcc WERROR=1" tests/node/run.sh
step webhook "the webhook with a real HTTP client" \
    env B=build/gcc RUN_MAKE="${make[*]} CC=gcc WERROR=1" tests/e2e/webhook_check.sh
step simulator "rehearsed calls: scripts, faults, the keyboard" \
    env B=build/gcc RUN_MAKE="${make[*]} CC=gcc WERROR=1" tests/simulator/run.sh
step demo "make demo" run_demo

echo
echo "make check: $steps steps passed in $((SECONDS - begin)) s"
closing_line 0
