#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Crash images by the hundred thousand: builds campaign_images and runs one for each processor, each with seeds of its
# own, and adds up what they counted.
#
#   campaign.sh [--for SECONDS] [--count IMAGES] [--seed S]
#
# An empty value is the default: 100,000 distinct images, at most 570 seconds, from seed 1. With --for alone there is no
# limit of images, with --count alone none of time. Distinct is counted within each process; processes share no seed,
# and what two scenarios leave differs by their audio, but for images from before a call's first frame.
set -euo pipefail

cd "$(dirname "$0")/../.."
seconds='' images='' seed=''
while [ $# -gt 0 ]; do
    case $1 in
    --for) seconds=${2-} ;;
    --count) images=${2-} ;;
    --seed) seed=${2-} ;;
    *)
        echo "usage: campaign.sh [--for SECONDS] [--count IMAGES] [--seed S]" >&2
        exit 2
        ;;
    esac
    shift
    [ $# -eq 0 ] || shift
done
full=0
if [ -z "$seconds$images" ]; then
    seconds=570 images=100000 full=1
fi
: "${seed:=1}"

# RUN_MAKE is a command and its options.
read -r -a run_make <<<"${RUN_MAKE:-make}"
"${run_make[@]}" build/tests/crash/campaign_images

jobs=$(nproc)
out=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || :; rm -rf "$out"' EXIT

arguments=(--step "$jobs")
[ -z "$seconds" ] || arguments+=(--for "$seconds")
[ -z "$images" ] || arguments+=(--count $(((images + jobs - 1) / jobs)))
for ((i = 0; i < jobs; i++)); do
    build/tests/crash/campaign_images --seed $((seed + i)) "${arguments[@]}" >"$out/$i" &
    pids+=($!)
done
status=0
for pid in "${pids[@]}"; do
    wait "$pid" || status=1
done
pids=()

grep -hv '^count ' "$out"/* || :
cat "$out"/* | awk -v want="$images" -v full="$full" -v seed="$seed" '
$1 == "count" {
    if ($2 == "milliseconds") { if ($3 > ms) ms = $3 }
    else n[$2] += $3
}
function row(name, key) {
    printf "  %-38s %11d %11d\n", name, n[key "-built"], n[key "-distinct"]
    built += n[key "-built"]; distinct += n[key "-distinct"]
}
END {
    printf "seeds from %d: %d scenarios, %d positions\n\n", seed, n["scenarios"], n["positions"]
    printf "  %-38s %11s %11s\n", "images", "built", "distinct"
    row("scenario, killed", "scenario-kill")
    row("scenario, power cut", "scenario-power")
    row("recovery (depth 1), killed", "recovery-kill")
    row("recovery (depth 1), power cut", "recovery-power")
    row("recovery of a recovery (2), killed", "second-recovery-kill")
    row("recovery of a recovery (2), power cut", "second-recovery-power")
    printf "  %-38s %11d %11d\n\n", "all", built, distinct
    printf "recovered and judged: %d; promises broken: %d\n", n["recovered"], n["failed"]
    printf "%.0f s, %.0f images recovered a second\n", ms / 1000, (ms > 0 ? n["recovered"] * 1000 / ms : 0)
    if (full && distinct < want) {
        printf "FAILED: %d distinct images were to be tried within the time\n", want
        exit 1
    }
}' || status=1
exit "$status"
