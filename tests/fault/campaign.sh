#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fail the n-th: builds campaign_nth, runs one for each processor, each with its share of the n, and adds up what they
# counted. Every n alone is always done, however long it takes; two, three and four together fill the time that is left.
#
#   campaign.sh [--for SECONDS] [--seeds N] [--seed S]
#
# Defaults: 540 seconds, 4 scenarios that seeds make beside the named ones, from seed 1.
set -euo pipefail

cd "$(dirname "$0")/../.."
seconds=540 seeds=4 seed=1
while [ $# -gt 0 ]; do
    case $1 in
    --for) seconds=${2-} ;;
    --seeds) seeds=${2-} ;;
    --seed) seed=${2-} ;;
    *)
        echo "usage: campaign.sh [--for SECONDS] [--seeds N] [--seed S]" >&2
        exit 2
        ;;
    esac
    shift
    [ $# -eq 0 ] || shift
done

# RUN_MAKE is a command and its options.
read -r -a run_make <<<"${RUN_MAKE:-make}"
"${run_make[@]}" build/tests/fault/campaign_nth

jobs=$(nproc)
out=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || :; rm -rf "$out"' EXIT

began=$SECONDS
for ((i = 0; i < jobs; i++)); do
    build/tests/fault/campaign_nth --part "$i" --of "$jobs" --for "$seconds" --seeds "$seeds" --seed "$seed" >"$out/$i" &
    pids+=($!)
done
status=0
for pid in "${pids[@]}"; do
    wait "$pid" || status=1
done
pids=()

grep -h '^FAILED' "$out"/* || :
cat "$out"/* | awk -F '\t' '
function group(kind) {
    return kind ~ /^disk/ ? "disk" : kind ~ /^store/ ? "store" : kind ~ /^buffer/ ? "buffer" : kind ~ /^keys/ ? "keys" : kind
}
$1 == "alone" {
    if (!($2 in seen)) { seen[$2] = 1; order[++scenarios] = $2 }
    g = group($3); key = $2 SUBSEP g
    if ($4 > n[$2, $3]) { calls[key] += $4 - n[$2, $3]; n[$2, $3] = $4 }
    struck[key] += $5; failed[key] += $6
    all[g] += $5; broken += $6; alone += $5
}
$1 == "pairs" { tried[$2] += $4; both[$2] += $5; pairs += $4; strikes += $5; broken += $6; lost[$2] += $6 }
END {
    split("allocation disk store buffer keys system", groups, " ")
    printf "  %-34s", "scenario"
    for (i = 1; i <= 6; i++) printf "%16s", groups[i]
    printf "%18s%9s\n", "together (all)", "broken"
    for (s = 1; s <= scenarios; s++) {
        name = order[s]; bad = lost[name]
        printf "  %-34s", name
        for (i = 1; i <= 6; i++) {
            key = name SUBSEP groups[i]; bad += failed[key]
            printf "%16s", (key in calls) ? struck[key] "/" calls[key] : "-"
        }
        printf "%18s%9d\n", tried[name] " (" both[name] + 0 ")", bad
    }
    printf "\n  A column: failures that struck / tried, every n of every kind, without a limit.\n"
    printf "  alone: %d struck; two to four together: %d tried, of which all struck in %d; promises broken: %d\n", alone, pairs,
        strikes, broken
}'
echo "  $((SECONDS - began)) s on $jobs processors"
exit "$status"
