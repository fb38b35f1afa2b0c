#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Library, tests and plain examples compiled for musl without a warning. Compiled only: Debian's libraries are linked with
# glibc, so that there is nothing to link with; their headers say nothing of either.
# Expects RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
out=build/musl
include=$out/include
mkdir -p "$include"

# Only these: anything else of /usr/include would be glibc's.
for name in sodium.h sodium zstd.h zstd_errors.h jansson.h jansson_config.h uuid cmocka.h linux asm-generic; do
    [ ! -e "/usr/include/$name" ] || ln -sfn "/usr/include/$name" "$include/$name"
done
ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" "$include/asm"
PKG_CONFIG_LIBDIR=/nonexistent "${make[@]}" -s B="$out" CC=musl-gcc WERROR=1 CPPFLAGS="-isystem $include" \
    objects
echo "musl: $(find "$out/obj" -name '*.o' | wc -l) files compiled"
