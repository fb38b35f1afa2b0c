#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make check` and `make check-all` do, step by step. The first step that fails ends it; the last line is "N passed,
# M failed", the tests of all steps together.
#
#   check.sh check | all       CHECK_ONLY="lint gcc" runs these steps instead, of either list
#
# Expects RUN_MAKE (with its options).
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 2
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"

# What a newcomer waits for: no second compiler, no sanitizer, no server, nothing that is not Debian's.
check=(lint gcc unit abi install readme python simulator demo)
all=(clang grown asan tsan model agents webhook documents musl cross fuzz coverage telephony)
case ${1:-} in
check) target=check steps=("${check[@]}") ;;
all) target=check-all steps=("${all[@]}") ;;
*) echo "usage: check.sh check | all" >&2 && exit 2 ;;
esac
if [ -n "${CHECK_ONLY:-}" ]; then
    read -r -a steps <<<"$CHECK_ONLY"
fi

begin=$SECONDS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TALLY=$work/tally
: >"$TALLY"

closing_line() {
    awk -v extra="$1" '{ p += $1; f += $3 } END { if (extra && !f) f = extra; print p + 0 " passed, " f + 0 " failed" }' \
        "$TALLY"
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

# Those that start a thread of their own, or let the engine start some: the others have nothing to show to it.
threaded_tests() {
    grep -lE 'T_WORKERS|pthread_create|t_thread\(|control_socket|recoptout/control\.h' tests/*/test_*.c |
        sed 's|^|build/tsan/|; s|\.c$||' | tr '\n' ' '
}

run_tsan() {
    if ! find_tsan; then
        echo "ThreadSanitizer works neither with gcc nor with clang on this machine."
        return 1
    fi
    TEST_WRAP=$tsan_wrap "${make[@]}" -s SAN=thread CC="$tsan_cc" TESTS="$(threaded_tests)" unit
}

run_demo() {
    "${build[@]}" demo >"$work/demo.log" 2>&1 || { cat "$work/demo.log"; return 1; }
    tail -n 12 "$work/demo.log"
}

# One build for all steps that need no other.
build=("${make[@]}" -s CC=gcc WERROR=1 B=build/gcc)
with_build() {
    env B=build/gcc RUN_MAKE="${make[*]} CC=gcc WERROR=1" "$@"
}

# run STEP: sets what it is, and does it
run() {
    case $1 in
    lint) what="banned functions, formatting, spelling, shell scripts" && "${make[@]}" -s check-lint ;;
    gcc) what="library, examples and tests without a warning" && "${build[@]}" all tests ;;
    unit) what="unit, promise and layout tests" && "${build[@]}" unit ;;
    abi) what="the interface as saved; headers alone as C and C++; symbols; an earlier client; hardened" && "${build[@]}" check-abi ;;
    install) what="install, build against it, uninstall" && "${build[@]}" check-install ;;
    readme) what="what README.md prints, as printed" && "${build[@]}" check-readme ;;
    python) what="the Python package against the installed library" && with_build tests/python/run.sh ;;
    simulator) what="rehearsed calls: scripts, faults, the keyboard" && with_build tests/simulator/run.sh ;;
    demo) what="make demo" && run_demo ;;
    clang) what="the same sources without a warning by clang" &&
        "${make[@]}" -s CC=clang WERROR=1 B=build/clang all tests ;;
    grown) what="an earlier client with structs that have grown" && CC=gcc RUN_MAKE="${make[*]}" tests/abi/grown.sh ;;
    asan) what="the tests under AddressSanitizer and UndefinedBehaviorSanitizer" &&
        "${make[@]}" -s SAN=address CC=gcc unit ;;
    tsan) what="the tests under ThreadSanitizer" && run_tsan ;;
    model) what="the Spin model, and three of its mutants" && tests/model/run.sh --quick ;;
    agents) what="MCP, tool definitions and Node, with the platforms' own tools" && with_build tests/node/run.sh ;;
    webhook) what="the webhook with a real HTTP client" && with_build tests/e2e/webhook_check.sh ;;
    documents) what="all that the documents print, as printed" && "${build[@]}" check-documents ;;
    musl) what="the sources without a warning for musl" && tests/tools/musl.sh ;;
    cross) what="the tests on other processors, and folders that travel" &&
        tests/tools/cross.sh i386 s390x arm64 armhf ;;
    fuzz) what="every fuzz target for five seconds" && tests/fuzz/run.sh --seconds 5 ;;
    coverage) what="the tests without an optimiser, and what they reach" &&
        tests/tools/coverage.sh ;;
    telephony) what="real SIP calls with recorded speech, beside real recorders" && with_build tests/telephony/run.sh ;;
    *)
        what="there is no such step; there are: ${check[*]} ${all[*]}"
        return 1
        ;;
    esac
}

for name in "${steps[@]}"; do
    start=$SECONDS
    echo "== $name"
    if ! run "$name"; then
        echo
        echo "make $target: step \"$name\" failed after $((SECONDS - start)) s: $what"
        echo "to run it alone: make $target CHECK_ONLY=$name"
        closing_line 1
        exit 1
    fi
    echo "   $what: done in $((SECONDS - start)) s"
done

echo
echo "make $target: ${#steps[@]} steps passed in $((SECONDS - begin)) s"
closing_line 0
