#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the headers declare is what the maps list is what the shared libraries export, each function under its version node; and
# the static libraries define nothing public besides. What of ours the second library takes from the first is public.
#
#   test_symbols.sh [BUILD_FOLDER]     (or B=BUILD_FOLDER; default build)
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${1:-${B:-build}}
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

shopt -s nullglob
functions=0

# own_names ARCHIVE: what is not public is at least ours by its prefix.
own_names() {
    [ -e "$1" ] || return 0
    nm -g --defined-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | LC_ALL=C sort >"$work/names"
    grep -vE '^(rco_|__(asan|ubsan|tsan|odr_asan|sanitizer))' "$work/names" >"$work/foreign" || :
    [ ! -s "$work/foreign" ] || complain "names of $1 without our prefix:"$'\n'"$(cat "$work/foreign")"
}

# check LIBRARY MAP NODE HEADER...: the first version has NODE, later ones NODE.1 and so on
check() {
    local name=$1 map=$2 node=$3 found library nodes
    shift 3
    # headers: a declaration begins with RCO_API and may go over several lines
    cat "$@" |
        awk '/^RCO_API/ { d = "" ; on = 1 } on { d = d " " $0 } on && /;/ { print d; on = 0 }' >"$work/declarations"
    sed -n 's/^ RCO_API [^(]*[ *]\(rco_[a-z0-9_]*\)(.*/\1/p' "$work/declarations" | LC_ALL=C sort >"$work/header"
    [ -s "$work/header" ] || complain "no declaration was found in $*"
    [ "$(wc -l <"$work/header")" -eq "$(grep -c . "$work/declarations")" ] ||
        complain "a declaration was not understood: $(grep -vE 'rco_[a-z0-9_]*\(' "$work/declarations")"
    [ -z "$(uniq -d "$work/header")" ] || complain "declared twice: $(uniq -d "$work/header")"

    # map, as FUNCTION@@NODE
    sed 's|/\*.*\*/||' "$map" | awk '/^[A-Za-z0-9_.]+ *\{/ { sub(/ *\{.*/, "", $1); node = $1 }
        match($0, /rco_[a-z0-9_]+[[:space:]]*;/) {
            name = substr($0, RSTART, RLENGTH); sub(/[[:space:]]*;/, "", name); print name "@@" node }' |
        LC_ALL=C sort >"$work/versions"
    sed 's/@.*//' "$work/versions" | LC_ALL=C sort >"$work/map"
    nodes=$(sed -n 's/^\([A-Za-z0-9_.]*\) *{.*/\1/p' "$map")
    [ "${nodes%%$'\n'*}" = "$node" ] || complain "the first node of $map should be $node"
    ! grep -vE "^$node(\.[0-9]+)?\$" <<<"$nodes" || complain "nodes of $map (above) are not named after $node"
    [ "$(grep -cE '^[[:space:]]*\*;' "$map")" -eq 1 ] || complain "$map should have local: *; once"
    ! grep -qE 'rco_[a-z0-9_]*[*?[]' "$map" || complain "$map has a wildcard; every symbol is named"
    [ -z "$(uniq -d "$work/map")" ] || complain "twice in $map: $(uniq -d "$work/map")"
    differ "$work/header" "$work/map" "$*" "$map"

    # shared library
    found=("$build/$name".so.2.*)
    if [ ${#found[@]} -ne 1 ]; then
        complain "there should be one $build/$name.so.2.*, there are ${#found[@]}; run make lib"
        return
    fi
    library=${found[0]}
    nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >"$work/library"
    differ "$work/versions" "$work/library" "$map" "$library"

    own_names "$build/$name.a"
    functions=$((functions + $(wc -l <"$work/header")))
}

agents=(include/recoptout/agent.h include/recoptout/control.h)
mapfile -t core < <(find include -name '*.h' ! -name agent.h ! -name control.h)
check librecoptout lib/recoptout.map RECOPTOUT_2 "${core[@]}"
check librecoptout-agent lib/recoptout-agent.map RECOPTOUT_AGENT_2 "${agents[@]}"

# The second library is one that a host could have written.
taken=$(nm -D --undefined-only "$build/librecoptout-agent.so.2" | awk '$2 ~ /^rco_/ && $2 !~ /@RECOPTOUT_2(\.[0-9]+)?$/ { print $2 }')
[ -z "$taken" ] || complain "librecoptout-agent takes what librecoptout does not export:"$'\n'"$taken"

# So is the conformance kit.
kit=$build/librecoptout-conformance.a
own_names "$kit"
taken=$(nm -g --undefined-only "$kit" 2>/dev/null | awk '$2 ~ /^rco_/ { print $2 }' | LC_ALL=C sort -u |
    LC_ALL=C comm -23 - "$work/names" | grep -vxFf <(sed -n 's/^[[:space:]]*\(rco_[a-z0-9_]*\);$/\1/p' lib/recoptout.map) || :)
[ -z "$taken" ] || complain "$kit takes what librecoptout does not export:"$'\n'"$taken"

[ "$failed" -eq 0 ] || exit 1
echo "symbols: $functions functions in headers, maps and libraries"
