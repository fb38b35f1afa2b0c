#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What somebody meets who has just installed Debian 12: a system of its own with gcc, make and git and nothing else, the
# sources in it, and there the two commands of README.md, as root; then the tests again as a user who may install
# nothing, with a umask and a TMPDIR of their own.
#
#   bare_debian.sh [COMMAND]       make demo && make check
#
# Needs root, debootstrap and the right to mount; without one of these it says so and runs the command where it is.
# Packages come from where this system gets its own. About 2 GB below TMPDIR or /tmp, gone afterwards.
set -euo pipefail

cd "$(dirname "$0")/../.."
command=${1:-make demo && make check}
suite=bookworm

here() {
    echo "NOT a bare Debian: $1. \"$command\" runs on this system, with what happens to be installed here." >&2
    exec bash -c "$command"
}

[ "$(id -u)" -eq 0 ] || here "only root can make one"
tests/tools/packages.sh bare || true # it has named what is missing
command -v debootstrap >/dev/null || here "debootstrap is not installed"
unshare --mount --pid --fork true 2>/dev/null || here "nothing can be mounted here"

# Mode 0700, so that the whole system lies below a folder that only root gets through.
system=$(mktemp -d "${TMPDIR:-/tmp}/bare.XXXXXX")
trap 'rm -rf "$system"' EXIT # mounts are in a name space of their own, and gone by then

# The mirror of this system if it is of the same release, else debootstrap's own.
mirror=()
same=
if grep -qx "VERSION_CODENAME=$suite" /etc/os-release; then
    same=yes
    # shellcheck disable=SC2016 # apt's fields
    found=$(apt-get indextargets --format '$(SITE) $(CODENAME)' 2>/dev/null | awk -v s="$suite" '$2 == s { print $1; exit }')
    [ -z "$found" ] || mirror=("$found")
fi
echo "bare Debian ($suite): making it"
if ! debootstrap --variant=minbase --include=gcc,libc6-dev,make,git,ca-certificates "$suite" "$system" "${mirror[@]}" \
    >"$system.log" 2>&1; then
    tail -n 5 "$system.log" >&2
    rm -f "$system.log"
    exit 1
fi
rm -f "$system.log"

# How packages and names are found: sources, proxies, trust.
if [ -n "$same" ]; then
    rm -f "$system/etc/apt/sources.list"
    cp -rL /etc/apt/sources.list* "$system/etc/apt/" 2>/dev/null || true
fi
apt-config dump | grep -E '^Acquire::[^ ]*(Proxy|CaInfo|Verify|Timeout)' >"$system/etc/apt/apt.conf.d/90acquire" || true
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp -L "$file" "$system$file"
done

# The sources as they are now, without what was built; as a repository, which is what somebody has who cloned them.
mkdir -p "$system/srv/sources" "$system/srv/owner"
chmod 700 "$system/srv/sources" "$system/srv/owner"
tar -cf - --exclude=./build --exclude=./.git --exclude=__pycache__ . | tar -xf - --no-same-owner -C "$system/srv/sources"

cat >"$system/srv/enter" <<'END'
# In name spaces of its own: mounts what every Debian has, and goes in.
set -e
system=$1
shift
mount -t proc proc "$system/proc"
mount -t tmpfs -o mode=755 dev "$system/dev"
for node in null zero full random urandom tty; do
    : >"$system/dev/$node"
    mount --bind "/dev/$node" "$system/dev/$node"
done
mkdir "$system/dev/pts" "$system/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$system/dev/pts"
mount -t tmpfs -o mode=1777 shm "$system/dev/shm"
ln -s pts/ptmx "$system/dev/ptmx"
ln -s /proc/self/fd "$system/dev/fd"
exec env -i HOME=/srv/owner PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    chroot "$system" /bin/bash -c "cd /srv/sources && $*"
END
inside() {
    unshare --mount --pid --fork --kill-child bash "$system/srv/enter" "$system" "$1"
}

inside 'git init -q && git add -A && git -c user.name=bare -c user.email=bare@localhost commit -q -m "As they are"'
echo "bare Debian: $command"
inside "$command"
if [ $# -eq 0 ]; then
    echo "bare Debian: the tests again, as a user with nothing but what is installed by now"
    inside 'useradd --create-home --home-dir /srv/caller caller && mkdir -m 700 "/srv/of caller" && mv /srv/sources "/srv/of caller/sources" &&
        chown -R caller: "/srv/of caller" && cd "/srv/of caller/sources" && mkdir /srv/caller/tmp &&
        chown caller: /srv/caller/tmp && chmod 755 / &&
        exec setpriv --reuid=caller --regid=caller --init-groups --no-new-privs env HOME=/srv/caller \
            TMPDIR=/srv/caller/tmp bash -c "umask 077 && make check CHECK_ONLY=\"gcc unit install demo\""'
fi
