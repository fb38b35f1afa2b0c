#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What docs/abi.md says about appending a member, tried out: the libraries are built from a copy in which every public struct
# with a struct_size has one member more, and the clients that are saved here have to run with them.
#
# Expects RUN_MAKE, CC.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r Makefile CHANGELOG.md include lib pkgconfig "$work"
# At the } of a struct, if a struct_size was seen in it.
sed -i -E '/^(typedef )?struct rco_[a-z_]+ \{/,/^\}/{
    /^\tuint32_t struct_size;/h
    /^\}/{x;/struct_size/{s/.*/\tuint64_t grown;/;p};s/.*//;x}
}' "$work"/include/*.h "$work"/include/*/*.h
grown=$(cat "$work"/include/*.h "$work"/include/*/*.h | grep -c '^	uint64_t grown;')
saved=$(sed -n '/define SAVED_STRUCTS/,/define SAVED_ELEMENTS/p' tests/abi/layout.inc | grep -c 'X(RCO_STRUCT_')
[ "$grown" -ge "$saved" ] || { echo "grown: only $grown structs have grown, there are $saved" >&2; exit 1; }
(cd "$work" && "${make[@]}" -s B=build CC="${CC:-gcc}" CFLAGS='-O0 -g' lib)
B=$work/build tests/abi/test_client.sh
echo "grown: every client that is saved runs with $grown structs that have grown"
