#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the headers declare is what the map lists is what the shared library exports, under the one version node; and the
# static library defines nothing public besides.
#
#   test_symbols.sh [BUILD_FOLDER]     (or B=BUILD_FOLDER; default build)
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${1:-${B:-build}}
map=lib/recoptout.map
node=RECOPTOUT_1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
    echo "symbols: $*" >&2
    failed=1
}

# differ A B WHAT-A WHAT-B
differ() {
    local only
    only=$(comm -23 "$1" "$2")
    [ -z "$only" ] || complain "in $3, not in $4:"$'\n'"$only"
    only=$(comm -13 "$1" "$2")
    [ -z "$only" ] || complain "in $4, not in $3:"$'\n'"$only"
}

# ---- headers: a declaration begins with RCO_API and may go over several lines

find include -name '*.h' -exec cat {} + |
    awk '/^RCO_API/ { d = "" ; on = 1 } on { d = d " " $0 } on && /;/ { print d; on = 0 }' >"$work/declarations"
sed -n 's/^ RCO_API [^(]*[ *]\(rco_[a-z0-9_]*\)(.*/\1/p' "$work/declarations" | LC_ALL=C sort >"$work/header"
[ -s "$work/header" ] || complain "no declaration was found in include/"
[ "$(wc -l <"$work/header")" -eq "$(grep -c . "$work/declarations")" ] ||
    complain "a declaration was not understood: $(grep -vE 'rco_[a-z0-9_]*\(' "$work/declarations")"
[ -z "$(uniq -d "$work/header")" ] || complain "declared twice: $(uniq -d "$work/header")"

# ---- map

sed 's|/\*.*\*/||' "$map" | tr ';' '\n' | sed -n 's/.*\b\(rco_[a-z0-9_]*\)[[:space:]]*$/\1/p' | LC_ALL=C sort >"$work/map"
[ "$(grep -oE '^[A-Za-z0-9_.]+ *\{' "$map")" = "$node {" ] || complain "$map should have the one node $node"
grep -qE '^[[:space:]]*\*;' "$map" || complain "$map should end in local: *;"
! grep -qE 'rco_[a-z0-9_]*[*?[]' "$map" || complain "$map has a wildcard; every symbol is named"
[ -z "$(uniq -d "$work/map")" ] || complain "twice in $map: $(uniq -d "$work/map")"
differ "$work/header" "$work/map" "include/" "$map"

# ---- shared library

shopt -s nullglob
found=("$build"/librecoptout.so.1.*)
if [ ${#found[@]} -ne 1 ]; then
    complain "there should be one $build/librecoptout.so.1.*, there are ${#found[@]}; run make lib"
    exit 1
fi
library=${found[0]}
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' >"$work/versioned"
sed 's/@.*//' "$work/versioned" | LC_ALL=C sort >"$work/library"
differ "$work/map" "$work/library" "$map" "$library"
others=$(grep -vE "@@?$node\$" "$work/versioned" || :)
[ -z "$others" ] || complain "exported under another version than $node:"$'\n'"$others"

# ---- static library: what is not public is at least ours by its prefix

if [ -e "$build/librecoptout.a" ]; then
    nm -g --defined-only "$build/librecoptout.a" 2>/dev/null | awk 'NF == 3 { print $3 }' |
        grep -vE '^(rco_|__(asan|ubsan|tsan|odr_asan|sanitizer))' >"$work/foreign" || :
    [ ! -s "$work/foreign" ] || complain "names of $build/librecoptout.a without our prefix:"$'\n'"$(cat "$work/foreign")"
fi

[ "$failed" -eq 0 ] || exit 1
echo "symbols: $(wc -l <"$work/header") functions in headers, map and library"
