#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The library on other machines: 32-bit pointers (i386, all test programs; armhf), the high byte first (s390x), another
# processor (arm64). Of those that run under qemu the programs whose bytes leave the process, and folders that one
# machine writes and the other reads, both ways. Libraries come from the distribution's own packages, unpacked into a folder; nothing is
# installed and no architecture is added. Programs run as they are where the kernel can, else under qemu.
#
#   cross.sh [ARCHITECTURE...]     i386, s390x, arm64, armhf
#
# Expects RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
top=$PWD/build/cross
wanted=(libc6 libgcc-s1 libsodium23 libsodium-dev libzstd1 libzstd-dev libjansson4 libjansson-dev libuuid1 uuid-dev libcmocka0
    libcmocka-dev)

# Those whose formats are read elsewhere, and those that look into them byte by byte.
leaving=(session wav ledger ledger_damage receipt signer spool spool_damage key_dir
    directory export base_bytes base_crc32c sip tool_call bencode travel)

# Of these one machine under qemu is enough: they take long there, and what they find has to do with bytes alone.
long=" export spool_damage ledger_damage tool_call "

# Programs with this stand in front of functions of the C library that have other names where offsets are 32 bits long by
# default.
not_with_32_bits='#include "(../fault/)?calls.h"'
# What qemu does not do: MADV_WIPEONFORK.
not_under_qemu=" unit/test_spool unit/test_base_secmem "

# packages ARCHITECTURE: into $top/ARCHITECTURE/root, with lists and cache of their own.
packages() {
    local arch=$1 place=$top/$1 apt
    mkdir -p "$place"/{lists/partial,cache/archives/partial,root}
    : >"$place/status"
    apt=(-qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::lists="$place/lists"
        -o Dir::State::status="$place/status" -o Dir::Cache="$place/cache" -o Debug::NoLocking=1
        -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none)
    if [ -e "$place/unpacked" ]; then
        return
    fi
    # One index may be out of step with its mirror; whether anything that is wanted is missing, the next line tells.
    apt-get "${apt[@]}" update 2>"$place/update.log" || true
    (cd "$place" && rm -f ./*.deb && apt-get "${apt[@]}" download "${wanted[@]}" >download.log 2>&1) ||
        { cat "$place/update.log" "$place/download.log" >&2; return 1; }
    for deb in "$place"/*.deb; do
        dpkg-deb -x "$deb" "$place/root"
    done
    rm -rf "$place/lists" "$place/cache"
    touch "$place/unpacked"
}

# Does a program for it run as it is?
runs_here() {
    echo 'int main(void) { return 0; }' >"$top/t.c"
    "$1-gcc" -static "$top/t.c" -o "$top/t" && "$top/t" 2>/dev/null
}

# wanted_test ARCHITECTURE TEST RUNS_HERE
wanted_test() {
    [ "$1" = i386 ] || [[ " ${leaving[*]} " == *" ${2##*/test_} "* ]] || return 1
    [[ $1 != arm* ]] || [[ $long != *" ${2##*/test_} "* ]] || return 1
    [ "$1" != i386 ] || [[ $2 == tests/fuzz/* ]] || ! grep -qE "$not_with_32_bits" "$2.c" || return 1
    [ "$3" = yes ] || [[ $not_under_qemu != *" ${2#tests/} "* ]]
}

on() {
    local arch=$1 compiler=$2 folder=$3 qemu=$4 root=$top/$1/root out=build/cross/$1 tests=() test here=no loader lib flags
    packages "$arch"
    lib=$root/usr/lib/$folder:$root/lib/$folder
    loader=$(find "$root/lib" -type f '(' -name 'ld-linux*.so.[123]' -o -name 'ld64.so.1' ')' | head -n 1)
    # By the loader that belongs to these libraries: the system's own, if there is one, is another version's.
    flags=("B=$out" "CC=$compiler-gcc" "AR=$compiler-ar" "CFLAGS=-O2 -g -w -Wno-psabi"
        "CPPFLAGS=-isystem $root/usr/include -isystem $root/usr/include/uuid"
        "LDFLAGS=-L$root/usr/lib/$folder -Wl,-rpath-link,$lib -Wl,-rpath,$lib -Wl,--dynamic-linker=$loader")
    if runs_here "$compiler"; then
        here=yes
    fi
    for test in tests/*/test_*.c; do
        if wanted_test "$arch" "${test%.c}" "$here"; then
            tests+=("$out/${test%.c}")
        fi
    done
    echo "$arch: ${#tests[@]} test programs$([ "$here" = yes ] || echo ", under qemu")"
    # Without qemu's -L: it would take the folder "/", from which the library walks, for the one that -L names.
    TEST_WRAP=$([ "$here" = yes ] || echo "$qemu") PKG_CONFIG_LIBDIR=/nonexistent \
        "${make[@]}" -s "${flags[@]}" unit TESTS="${tests[*]}"
    travel "$arch" "$out" "$([ "$here" = yes ] || echo "$qemu")"
}

# Folders from here to there, and back. Two machines do not share a clock: nothing of it is looked at.
travel() {
    local arch=$1 there="$3 $2/tests/unit/test_travel" here=build/tests/unit/test_travel folder way
    "${make[@]}" -s "$here"
    for way in "$here|$there" "$there|$here"; do
        folder=$(mktemp -d "$top/folder.XXXXXX")
        if ! { ${way%|*} write "$folder" && ${way#*|} read "$folder"; } >"$top/travel.log" 2>&1; then
            cat "$top/travel.log" >&2
            return 1
        fi
        rm -rf "$folder"
    done
    echo "$arch: a folder written here is read there, and one written there is read here"
}

for arch in "${@:-i386}"; do
    case $arch in
    i386) on i386 i686-linux-gnu i386-linux-gnu qemu-i386-static ;;
    s390x) on s390x s390x-linux-gnu s390x-linux-gnu qemu-s390x-static ;;
    arm64) on arm64 aarch64-linux-gnu aarch64-linux-gnu qemu-aarch64-static ;;
    armhf) on armhf arm-linux-gnueabihf arm-linux-gnueabihf qemu-arm-static ;;
    *) echo "cross.sh: i386, s390x, arm64 or armhf, not $arch" >&2 && exit 2 ;;
    esac
done
