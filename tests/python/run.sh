#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Python package as a user gets it: the library is installed into an empty folder, the package by pip into an empty
# environment, and the tests run against these two. Arguments go to pytest. Expects B, CC and RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=/usr/bin/python3 # the one that Debian's python3-pytest is for

"${make[@]}" -s B="${B:-build}" DESTDIR= prefix="$work/usr" install
"$python" -m venv --system-site-packages "$work/venv"
cp -r examples/python "$work/package" # pip builds in the folder it is given
"$work/venv/bin/pip" install --quiet --no-index --no-build-isolation --disable-pip-version-check "$work/package"
# README's first lines of Python, as printed
mkdir "$work/readme"
awk '/^```/ { if (inside) exit; inside = $0 == "```python"; next } inside' README.md >"$work/readme/lines.py"
(cd "$work/readme" && LD_LIBRARY_PATH=$work/usr/lib "$work/venv/bin/python" lines.py >said && grep -q gelöscht said)
cp -r examples/python/tests "$work/tests"
export HANDLERS=$PWD/examples/python
cd "$work/tests"
LD_LIBRARY_PATH=$work/usr/lib PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" -m pytest -q -p no:cacheprovider \
    --rootdir "$work/tests" --basetemp "$work/tmp" "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
tail -n 1 "$work/log"

# "N passed in T s" is the last line; the sum over all runs of make check wants "N passed, 0 failed".
if [ -n "${TALLY:-}" ]; then
    sed -n 's/^\([0-9]*\) passed.*/\1 passed, 0 failed/p' "$work/log" >>"$TALLY"
fi
