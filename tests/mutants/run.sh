#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Mutants: the code is broken on purpose, in one place of a copy at a time, and a test has to notice. `table` says
# which, where, and what promise each of them breaks.
#
#   run.sh                    all of the table (make check-mutants)
#   run.sh --only NAME        one of them; may be given several times
#   run.sh --list             what the table holds
#   run.sh --auto N --seed S  N places chosen by chance instead; --show prints them and runs nothing
#
# Also: --jobs N (mutants at once, 2), --listed (survivors of the tests that a mutant lists are not shown to all
# the others), --keep-logs FOLDER. Fails if a mutant survives, does not apply, does not compile or changes nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

for option in "$@"; do
    if [ "$option" = --list ] || [ "$option" = --show ]; then
        exec python3 tests/mutants/mutants.py "$@"
    fi
done
read -ra make <<<"${RUN_MAKE:-make -j$(nproc)}"
sources=(tests/*/test_*.c)
objects=("${sources[@]/#/build/obj/}")
"${make[@]}" -s build/tests/unit/test_gate build/tests/fuzz/test_corpus "${objects[@]/%.c/.o}" # and what they link
exec python3 tests/mutants/mutants.py "$@"
