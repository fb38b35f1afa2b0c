#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make install, as a packager does it (DESTDIR) and as a developer does it (prefix): the files are exactly those that
# are promised, a program builds against them with the flags of pkg-config, and uninstall leaves nothing.
# Expects B (the build folder), CC, RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
CC=${CC:-cc}
read -r -a make <<<"${RUN_MAKE:-make} --no-print-directory -s B=${B:-build}"
# The compiler and its flags are those of the make that calls this, so that nothing is built again.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install: $*" >&2
    exit 1
}

version=$(sed -n 's/^#define RCO_VERSION_STRING *"\(.*\)"$/\1/p' include/recoptout.h)

# ---- DESTDIR, with a libdir as distributions have it

stage=$work/stage
dirs=(DESTDIR="$stage" prefix=/usr libdir=/usr/lib/x86_64-linux-gnu)
"${make[@]}" install "${dirs[@]}" >"$work/log" 2>&1 || { cat "$work/log"; fail "make install DESTDIR=... failed"; }
(cd "$stage" && find . ! -type d | sort) >"$work/found"
{
    find include -name '*.h' -printf './usr/%p\n'
    for name in "librecoptout.so" "librecoptout.so.1" "librecoptout.so.1.$version" "pkgconfig/recoptout.pc"; do
        echo "./usr/lib/x86_64-linux-gnu/$name"
    done
} | sort >"$work/expected"
diff "$work/expected" "$work/found" >"$work/diff" ||
    fail "expected (<) and installed (>) files differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
pc=$stage/usr/lib/x86_64-linux-gnu/pkgconfig/recoptout.pc
! grep -q '@' "$pc" || fail "recoptout.pc has a placeholder left: $(grep '@' "$pc")"
! grep -qF "$work" "$pc" || fail "recoptout.pc mentions DESTDIR"
grep -qx 'prefix=/usr' "$pc" || fail "recoptout.pc does not say prefix=/usr"
"${make[@]}" uninstall "${dirs[@]}" >"$work/log" 2>&1 || { cat "$work/log"; fail "make uninstall failed"; }
left=$(find "$stage" ! -type d -o -name 'recoptout*')
[ -z "$left" ] || fail "uninstall left: $left"

# ---- prefix, and a program built against it

inst=$work/inst
"${make[@]}" install prefix="$inst" >"$work/log" 2>&1 || { cat "$work/log"; fail "make install prefix=... failed"; }
cat >"$work/tiny.c" <<'END'
#include <recoptout.h>
#include <recoptout/storage.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	printf("%s %u\n", rco_version_string(), (unsigned)rco_abi_version());
	return strcmp(rco_version_string(), RCO_VERSION_STRING) != 0;
}
END
export PKG_CONFIG_PATH=$inst/lib/pkgconfig
if command -v pkg-config >/dev/null; then
    [ "$(pkg-config --modversion recoptout)" = "$version" ] || fail "pkg-config --modversion is not $version"
    read -r -a flags <<<"$(pkg-config --cflags --libs recoptout)"
    [ "${flags[*]}" = "-I$inst/include -L$inst/lib -lrecoptout" ] || fail "unexpected pkg-config flags: ${flags[*]}"
    static=$(pkg-config --static --libs recoptout) || fail "pkg-config --static does not find the needed libraries"
    for library in -lsodium -lzstd -ljansson -luuid; do
        [[ " $static " == *" $library "* ]] || fail "pkg-config --static does not name $library: $static"
    done
else
    echo "note: pkg-config is not installed; recoptout.pc was read by eye" >&2
    flags=(-I"$inst/include" -L"$inst/lib" -lrecoptout)
fi
"$CC" -Wall -Wextra -Wpedantic -Werror "$work/tiny.c" "${flags[@]}" -o "$work/tiny" || fail "the program does not build"
said=$(LD_LIBRARY_PATH=$inst/lib "$work/tiny") || fail "the program failed: $said"
soname=$(LC_ALL=C readelf -d "$work/tiny" | sed -n 's/.*\[librecoptout\.so\.\(.*\)\]/\1/p')
[ "$said" = "$version $soname" ] ||
    fail "loaded library says \"$said\" (version, ABI); header and SONAME say \"$version $soname\""
"${make[@]}" uninstall prefix="$inst" >"$work/log" 2>&1 || { cat "$work/log"; fail "make uninstall failed"; }
left=$(find "$inst" ! -type d)
[ -z "$left" ] || fail "uninstall left: $left"
echo "install: $(wc -l <"$work/expected") files, a program built with ${flags[*]:2} says $said, uninstall leaves nothing"
