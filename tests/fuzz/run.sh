#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fuzzes the parsers of bytes from outside, one target after the other, with libFuzzer under ASan and UBSan.
#
#   run.sh [--seconds N] [NAME...]     N seconds for each (60), all targets or these; fails if anything is found
#   run.sh --merge [NAME...]           what was kept so far, minimised, into tests/fuzz/corpus/NAME/merged.lines
#   run.sh --coverage [NAME...]        lines of its parsers that each target reaches with what was kept so far
#   run.sh --damage                    every bit of every kind of file flipped, and every cut (test_damage all)
#   run.sh --list
#
# Inputs worth keeping are gathered in build/fuzz/corpus/NAME over all runs, what was found is in build/fuzz/found.
# Expects RUN_MAKE (make with its options) or takes `make -j2`.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory -j2}"
out=build/fuzz
seconds=60
mode=fuzz
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=${2:-60} && shift 2 ;;
    --merge | --coverage | --damage | --list) mode=${1#--} && shift ;;
    -*) echo "usage: run.sh [--seconds N | --merge | --coverage | --damage | --list] [NAME...]" >&2 && exit 2 ;;
    *) break ;;
    esac
done
seconds=${seconds:-60}
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
    echo "run.sh: --seconds wants a number from 1, not \"$seconds\"" >&2
    exit 2
fi

mapfile -t all < <(printf '%s\n' tests/fuzz/fuzz_*.c | sed 's|.*/fuzz_\(.*\)\.c|\1|')
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    names=("${all[@]}")
fi
for name in "${names[@]}"; do
    if [ ! -e "tests/fuzz/fuzz_$name.c" ]; then
        echo "run.sh: there is no target $name; there are: ${all[*]}" >&2
        exit 2
    fi
done
if [ "$mode" = list ]; then
    printf '%s\n' "${all[@]}"
    exit 0
fi

# Targets that need a folder make it here; a process that libFuzzer ends clears nothing up.
TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

if [ "$mode" = damage ]; then
    "${make[@]}" -s B=$out-plain $out-plain/tests/fuzz/test_damage
    $out-plain/tests/fuzz/test_damage all
    exit 0
fi

sanitize=-fsanitize=address,undefined
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

build() {
    local programs=()
    for name in "${names[@]}"; do
        programs+=("$out/tests/fuzz/fuzz_$name")
    done
    "${make[@]}" -s CC="${FUZZ_CC:-clang}" B=$out LDFLAGS="-fsanitize=fuzzer ${sanitize}" \
        CFLAGS="-O1 -g -fsanitize=fuzzer-no-link $sanitize -fno-sanitize-recover=all -fno-omit-frame-pointer" \
        "${programs[@]}"
}

# prepare NAME: its folders, its seeds and the committed corpus as files; sets longest and files
prepare() {
    local name=$1 hex line number=0
    mkdir -p "$out/corpus/$name" "$out/start/$name" "$out/found"
    rm -f "$out/start/$name"/*
    line=$(FUZZ_SEEDS=$out/start/$name "$out/tests/fuzz/fuzz_$name")
    longest=${line%% *}
    files=${line#* }
    for hex in "tests/fuzz/corpus/$name"/*; do
        [ -e "$hex" ] || continue
        # all of it one input, or each line
        if [ "${hex%.lines}" = "$hex" ]; then
            sed 's/#.*//' "$hex" | tr -d '\n' && echo
        else
            cat "$hex"
        fi
    done | sed 's/../\\x&/g' | while IFS= read -r line; do
        number=$((number + 1))
        printf '%b' "$line" >"$out/start/$name/kept-$number"
    done
}

fuzz_one() {
    local name=$1 log=$out/$1.log status=0 edges runs found
    prepare "$name"
    rm -f "$out/found/$name-"*
    "$out/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len="$longest" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$out/found/$name-" "$out/corpus/$name" "$out/start/$name" \
        >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    edges=$(grep -o ' cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9 || true)
    found=$(find "$out/found" -name "$name-*" -type f | wc -l)
    if [ "$status" -ne 0 ] && [ "$found" -eq 0 ]; then
        found="exit $status"
    fi
    printf '%-10s %8s %11s %8s %7s %8s  %s\n' "$name" "$seconds" "${runs:--}" "$((${runs:-0} / seconds))" \
        "${edges:--}" "$(find "$out/corpus/$name" -type f | wc -l)" "$found"
    [ "$status" -eq 0 ] || failed+=("$name")
}

show_found() {
    local name artifact
    for name in "${failed[@]}"; do
        echo
        echo "---- $name: $out/$name.log, its last 25 lines"
        tail -n 25 "$out/$name.log"
        for artifact in "$out/found/$name-"*; do
            [ -e "$artifact" ] || continue
            echo "again:    $out/tests/fuzz/fuzz_$name $artifact"
            echo "smaller:  $out/tests/fuzz/fuzz_$name -minimize_crash=1 -runs=100000 $artifact"
            echo "to keep:  od -An -v -tx1 -w48 $artifact | tr -d ' ' >tests/fuzz/corpus/$name/WHAT-IT-FOUND.hex"
        done
    done
}

# What adds coverage and is not longer than 256 bytes (seeds are made when they are wanted), one input in a line.
merge_one() {
    local name=$1 file merged
    prepare "$name"
    merged=tests/fuzz/corpus/$name/merged.lines
    rm -rf "$out/merged/$name"
    mkdir -p "$out/merged/$name" "$(dirname "$merged")"
    "$out/tests/fuzz/fuzz_$name" -set_cover_merge=1 -max_len="$longest" "$out/merged/$name" "$out/start/$name" \
        "$out/corpus/$name" >"$out/$name.log" 2>&1
    for file in "$out/merged/$name"/*; do
        if [ ! -e "$file" ] || [ "$(stat -c %s "$file")" -gt 256 ]; then
            continue
        fi
        od -An -v -tx1 "$file" | tr -d ' \n'
        echo
    done | LC_ALL=C sort >"$merged"
    printf '%-10s %5d inputs %8d bytes\n' "$name" "$(wc -l <"$merged")" "$(wc -c <"$merged")"
}

# Lines of the target's files that its inputs reach, by gcov.
coverage_one() {
    local name=$1 file
    prepare "$name"
    find build/fuzz-lines -name '*.gcda' -delete
    find "$out/start/$name" "$out/corpus/$name" -type f -print0 |
        xargs -0 build/fuzz-lines/tests/fuzz/test_corpus "$name" >/dev/null
    for file in $files; do
        printf '%-10s %-34s %s\n' "$name" "$file" "$(gcov -n -b -o "build/fuzz-lines/obj/$(dirname "$file")" "$file" |
            awk -v f="$file" '/^File/ { ours = index($0, f) } ours && /^Lines/ { l = $2 } ours && /^Branches/ { b = $2 }
                ours && /^Taken/ { t = $4 }
                END { sub("executed:", "", l); sub("executed:", "", b); sub("once:", "", t)
                      printf "lines %7s  branches taken %7s", l, t }')"
    done
}

build
failed=()
case $mode in
fuzz)
    printf '%-10s %8s %11s %8s %7s %8s  %s\n' target seconds executions each/s edges corpus found
    for name in "${names[@]}"; do
        fuzz_one "$name"
    done
    show_found
    [ ${#failed[@]} -eq 0 ]
    ;;
merge)
    for name in "${names[@]}"; do
        merge_one "$name"
    done
    ;;
coverage)
    "${make[@]}" -s CC=gcc B=build/fuzz-lines CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage \
        build/fuzz-lines/tests/fuzz/test_corpus
    for name in "${names[@]}"; do
        coverage_one "$name"
    done
    ;;
esac
