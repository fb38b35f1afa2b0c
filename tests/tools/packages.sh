#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing for a purpose: packages.sh PURPOSE. Without the right to install it names
# them all in one line and fails. When nothing is missing it says nothing.
# shellcheck disable=SC2034 # lists are used by their names
set -euo pipefail

demo=(gcc libc6-dev make pkgconf libsodium-dev libzstd-dev libjansson-dev uuid-dev zstd asterisk-core-sounds-en-wav)
check=("${demo[@]}" g++ clang-format libcmocka-dev abigail-tools binutils file python3 codespell shellcheck
    libmicrohttpd-dev libncurses-dev python3-pyte libre-dev librem-dev libpocketsphinx-dev libcurl4-openssl-dev
    git socat python3-pytest python3-venv python3-pip python3-setuptools python3-wheel)
bench=("${demo[@]}" libsndfile1-dev pocketsphinx-testdata)

clang=("${check[@]}" clang libclang-rt-14-dev)
agents=("${check[@]}" curl)
if ! command -v npm >/dev/null; then # from wherever it is: Debian's cannot stand beside another one
    agents+=(nodejs npm)
fi
kills=("${check[@]}" strace)
model=(spin gcc libc6-dev)
races=("${clang[@]}" valgrind gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)
coverage=("${check[@]}" gcovr)
telephony=("${check[@]}" rtpengine-daemon janus python3-pytest-xdist sip-tester baresip-core tshark pocketsphinx pocketsphinx-en-us flite)
musl=("${check[@]}" musl-tools)
cross=("${check[@]}" gcc-i686-linux-gnu libc6-dev-i386-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static)
all=("${clang[@]}" "${agents[@]}" "${model[@]}" "${coverage[@]}" "${telephony[@]}" "${musl[@]}" "${cross[@]}")

# Recorders that the bench compares with if they are there.
peers=(rtpengine-daemon janus)
# What a bare system is made with.
bare=(debootstrap)

purposes="demo check all clang agents kills model races coverage telephony musl cross bench peers bare"
if [ $# -ne 1 ] || [[ " $purposes " != *" $1 "* ]]; then
    echo "usage: packages.sh ${purposes// / | }" >&2
    exit 2
fi
declare -n wanted=$1

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Not a Debian system: make sure that the equivalents of these are installed: ${wanted[*]}"
    exit 0
fi

# Prints the wanted packages that are not installed.
missing() {
    local package state
    for package in "${wanted[@]}"; do
        state=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
        if ! grep -qx installed <<<"$state"; then
            echo "$package"
        fi
    done
}

mapfile -t lacking < <(missing)
if [ ${#lacking[@]} -eq 0 ]; then
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    echo "Missing packages; as root: apt-get install --no-install-recommends ${lacking[*]}" >&2
    exit 1
fi

# Nothing that is installed starts a service.
policy=/usr/sbin/policy-rc.d

install_missing() {
    local ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" sh -c "cat >$policy && chmod 755 $policy"
    fi
    install_quietly
    local status=$?
    [ -z "$ours" ] || "${as_root[@]}" rm -f "$policy"
    return "$status"
}

install_quietly() {
    "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
        -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${lacking[@]}" >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing: ${lacking[*]}"
# The lists of a fresh machine are absent or old: with them absent or old the first try fails, then they are fetched.
if ! install_missing; then
    if ! "${as_root[@]}" apt-get -qq -o Acquire::Retries=3 update >"$log" 2>&1 || ! install_missing; then
        cat "$log" >&2
        echo "apt-get failed (above). Packages that are needed: ${lacking[*]}" >&2
        exit 1
    fi
fi

mapfile -t lacking < <(missing)
if [ ${#lacking[@]} -ne 0 ]; then
    echo "apt-get reported success, but these are still missing: ${lacking[*]}" >&2
    exit 1
fi
