#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The simulator: every script and every fault as JSON, the picture, the keyboard, and mistakes in scripts and options.
# Expects B and RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
B=${B:-build}
"${make[@]}" -s B="$B" "$B/examples/simulator"
B=$B timeout 400 /usr/bin/python3 tests/simulator/check.py >>"${TALLY:-/dev/stdout}"
