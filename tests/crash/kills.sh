#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kills a process under load at each of its system calls and at random moments: see docs/testing.md. Arguments go to
# the campaign, whose first lines say what there is: kills.sh --at threads fdatasync 7
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${B:-build}

if ! command -v strace >/dev/null; then
    echo "kills.sh: strace is not installed (make packages knows its package)" >&2
    exit 1
fi
if ! strace -f -qqq -o /dev/null true 2>/dev/null; then
    echo "kills.sh: strace cannot trace a process here. Many containers forbid ptrace: give them" \
        "--cap-add=SYS_PTRACE, or run this outside." >&2
    exit 1
fi
if ! [ -w /dev/shm ]; then
    echo "kills.sh: /dev/shm is needed" >&2
    exit 1
fi

# RUN_MAKE is a command and its options.
read -r -a run_make <<<"${RUN_MAKE:-make}"
"${run_make[@]}" -s "$build/tests/crash/campaign_kills"
exec "$build/tests/crash/campaign_kills" "$@"
