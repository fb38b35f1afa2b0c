#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A program that was compiled with the headers of an earlier version runs with the libraries of this one: each client here,
# with the headers saved beside it.
#
#   test_client.sh     B=BUILD_FOLDER; default build
set -euo pipefail

cd "$(dirname "$0")/../.."
build=$(realpath "${B:-build}")
read -r -a cc <<<"${CC:-cc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t sanitizers < <(grep -oE -- '-fsanitize=[^ ]*' "$build/.flags" 2>/dev/null || :)
clients=0

for folder in tests/abi/client-*; do
    name=${folder##*/}
    mkdir "$work/$name"
    "${cc[@]}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror "${sanitizers[@]}" "$folder/client.c" -o "$work/$name/client" \
        -L"$build" -lrecoptout-agent -lrecoptout -Wl,-rpath,"$build"
    "$work/$name/client" "$work/$name" >"$work/$name/log" 2>&1 || {
        cat "$work/$name/log" >&2
        echo "client: $name failed with the libraries in $build" >&2
        exit 1
    }
    clients=$((clients + 1))
done
echo "client: $clients with saved headers"
