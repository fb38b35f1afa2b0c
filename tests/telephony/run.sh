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
# Calls take the time they take; two files of tests at once do not disturb each other.
"$python" -m pytest -q -p no:cacheprovider -n 2 --dist loadfile --basetemp "$work/tmp" -rP "${@:-tests/telephony}" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
sed -n 's/^\([0-9]* calls in .*\)$/\1/p' "$work/log"
tail -n 1 "$work/log"
if [ -n "${TALLY:-}" ]; then
    sed -n 's/^\([0-9]*\) passed.*/\1 passed, 0 failed/p' "$work/log" >>"$TALLY"
fi
