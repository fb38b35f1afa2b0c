#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Real calls on loopback: sipp, recorded speech, the telephony server of examples/, and recorders that others wrote.
# Arguments go to pytest. Expects B and RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=/usr/bin/python3 # the one that Debian's python3-pytest is for
export B=${B:-build} PYTHONDONTWRITEBYTECODE=1

"${make[@]}" -s B="$B" examples

calls() {
    "$python" -m pytest -q -o cache_dir="$work/cache" --basetemp "$work/tmp" -rP "$@" >"$work/log" 2>&1
}
# Calls take the time they take; two files of tests at once do not disturb each other much, unless the machine has other
# things to do as well. Phones, servers and recorders then send late. What failed beside others is tried once more alone,
# and fails if it fails again.
if ! calls -n 2 --dist loadfile "${@:-tests/telephony}"; then
    cat "$work/log"
    failed=$(grep -oE '[0-9]+ failed' "$work/log" | tail -n 1 | cut -d ' ' -f 1)
    [ -n "$failed" ] && [ "$failed" -le 5 ] || exit 1
    cp "$work/log" "$work/first"
    echo "telephony: $failed failed beside others; once more, alone:"
    calls -n 0 --last-failed "${@:-tests/telephony}" || { cat "$work/log"; exit 1; }
    tail -n 1 "$work/log"
    sed -n 's/^[0-9]* failed, \([0-9]* passed\)/\1/p' "$work/first" >>"$work/log"
fi
sed -n 's/^\([0-9]* calls in .*\)$/\1/p' "$work/log"
tail -n 1 "$work/log"
if [ -n "${TALLY:-}" ]; then
    sed -n 's/^\([0-9]*\) passed.*/\1 passed, 0 failed/p' "$work/log" >>"$TALLY"
fi
