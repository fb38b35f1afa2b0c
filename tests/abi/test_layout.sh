#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Places, sizes and numbers as saved, also for processors that this machine is not: test_layout.c is compiled alone, which
# needs a compiler and nothing of the other system. A struct that is changed, in a copy of the headers, has to be refused on each.
set -euo pipefail

cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r include "$work"
sed -i '/^typedef struct rco_engine_config/,/^}/s/^\tuint32_t flags;.*/&\n\tvoid *canary;/' "$work/include/recoptout.h"
compiled=0

# layout FLAG...: with the compiler "$cc"; not a word if it cannot compile for that processor
layout() {
    local what=("$cc" "$@" -std=c11 -ffreestanding -fsyntax-only)
    "${what[@]}" -x c /dev/null 2>/dev/null || return 0
    "${what[@]}" -Iinclude tests/abi/test_layout.c || { echo "layout: another one than saved: $cc $*" >&2; exit 1; }
    ! "${what[@]}" -I"$work/include" tests/abi/test_layout.c 2>/dev/null ||
        { echo "layout: a member put in the middle is not noticed: $cc $*" >&2; exit 1; }
    compiled=$((compiled + 1))
}

cc=gcc
layout
if [[ $(uname -m) == x86_64 ]]; then
    layout -m32                # i386
    layout -m32 -malign-double # places as on 32-bit arm
fi
cc=clang
for target in aarch64-linux-gnu arm-linux-gnueabihf i686-linux-gnu mips-linux-gnu powerpc-linux-gnu riscv64-linux-gnu \
    s390x-linux-gnu x86_64-linux-gnu x86_64-linux-gnux32; do
    layout --target=$target
done
echo "layout: as saved, for $compiled processors and compilers"
