#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make install, as a packager does it (DESTDIR) and as a developer does it (prefix): the files are exactly those that
# are promised, a program builds against them with the flags of pkg-config, and uninstall leaves nothing.
# Expects B (the build folder), CC, RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a cc <<<"${CC:-cc}"
read -r -a make <<<"${RUN_MAKE:-make} --no-print-directory -s B=${B:-build}"
# The compiler and its flags are those of the make that calls this, so that nothing is built again.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install: $*" >&2
    exit 1
}

# An agent starts the MCP server with an environment of its own, and in a folder of its own.
runs_mcp() {
    local answer
    answer=$(cd / && env -i "$1/bin/recoptout-mcp" --socket "$work/none" --call x <<<'{"jsonrpc":"2.0","id":1,"method":"ping"}' 2>&1) ||
        fail "recoptout-mcp does not run where it is installed: $answer"
    grep -q '"id":1' <<<"$answer" || fail "recoptout-mcp says: $answer"
}

version=$(sed -n 's/^#define RCO_VERSION_STRING *"\(.*\)"$/\1/p' include/recoptout.h)

# ---- DESTDIR, with a libdir as distributions have it

# (A space in each: not a word of a command is to be cut at it.)
stage="$work/the stage"
dirs=(DESTDIR="$stage" prefix=/usr libdir=/usr/lib/x86_64-linux-gnu)
"${make[@]}" install "${dirs[@]}" >"$work/log" 2>&1 || { cat "$work/log"; fail "make install DESTDIR=... failed"; }
(cd "$stage" && find . ! -type d | sort) >"$work/found"
{
    find include -name '*.h' -printf './usr/%p\n'
    echo ./usr/bin/recoptout-mcp
    for name in librecoptout{,-agent}.so{,.2,".2.$version"} pkgconfig/recoptout{,-agent,-conformance}.pc librecoptout-conformance.a; do
        echo "./usr/lib/x86_64-linux-gnu/$name"
    done
} | sort >"$work/expected"
diff "$work/expected" "$work/found" >"$work/diff" ||
    fail "expected (<) and installed (>) files differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
for pc in "$stage"/usr/lib/x86_64-linux-gnu/pkgconfig/recoptout{,-agent,-conformance}.pc; do
    ! grep -q '@' "$pc" || fail "${pc##*/} has a placeholder left: $(grep '@' "$pc")"
    ! grep -qF "$work" "$pc" || fail "${pc##*/} mentions DESTDIR"
    grep -qx 'prefix=/usr' "$pc" || fail "${pc##*/} does not say prefix=/usr"
done
"${make[@]}" uninstall "${dirs[@]}" >"$work/log" 2>&1 || { cat "$work/log"; fail "make uninstall failed"; }
left=$(find "$stage" ! -type d -o -name 'recoptout*')
[ -z "$left" ] || fail "uninstall left: $left"

# ---- prefix, and a program built against it

seen=$(git status --porcelain --untracked-files=all 2>/dev/null || :)
spaced="$work/a prefix"
"${make[@]}" install prefix="$spaced" >"$work/log" 2>&1 || { cat "$work/log"; fail "make install prefix='a prefix' failed"; }
(cd "$spaced" && find . ! -type d | sort) >"$work/found"
sed 's,^\./usr/lib/x86_64-linux-gnu/,./lib/,; s,^\./usr/,./,' "$work/expected" | sort | diff - "$work/found" >"$work/diff" ||
    fail "with a space in prefix, expected (<) and installed (>) files differ:"$'\n'"$(grep '^[<>]' "$work/diff")"
if command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_PATH="$spaced/lib/pkgconfig" pkg-config --cflags --libs recoptout)
    [ "$(eval "printf '%s|' $flags")" = "-I$spaced/include|-L$spaced/lib|-lrecoptout|" ] || fail "unexpected pkg-config flags: $flags"
    flags=$(PKG_CONFIG_PATH="$spaced/lib/pkgconfig" pkg-config --cflags --libs recoptout-agent)
    [ "$(eval "printf '%s|' $flags")" = "-I$spaced/include|-L$spaced/lib|-lrecoptout-agent|-lrecoptout|" ] ||
        fail "unexpected pkg-config flags: $flags"
fi
runs_mcp "$spaced"
"${make[@]}" uninstall prefix="$spaced" >"$work/log" 2>&1 || { cat "$work/log"; fail "make uninstall prefix='a prefix' failed"; }
left=$(find "$spaced" ! -type d -o -name 'recoptout*')
[ -z "$left" ] || fail "uninstall left: $left"
[ "$(git status --porcelain --untracked-files=all 2>/dev/null || :)" = "$seen" ] || fail "make install left something in the source tree"

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
cat >"$work/agent.c" <<'END'
#include <recoptout/control.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	printf("%s %u\n", rco_agent_version_string(), (unsigned)rco_agent_abi_version());
	return strcmp(rco_agent_version_string(), RCO_VERSION_STRING) != 0 || !rco_agent_has_feature("control") ||
	       !rco_agent_has_feature("spool");
}
END
cat >"$work/conforms.c" <<'END'
#include <recoptout/conformance.h>

int main(void)
{
	rco_memory_options options = {.struct_size = sizeof options};
	rco_conformance kit = {.struct_size = sizeof kit};
	rco_memory *memory;
	int broken;

	if (rco_memory_create(&options, &memory) != RCO_OK)
		return 2;
	kit.deletion = rco_memory_deletion_ops();
	kit.deletion_user_data = memory;
	broken = rco_conformance_run(&kit, NULL, NULL);
	rco_memory_free(memory);
	return broken != 0;
}
END
export PKG_CONFIG_PATH=$inst/lib/pkgconfig
if command -v pkg-config >/dev/null; then
    [ "$(pkg-config --modversion recoptout)" = "$version" ] || fail "pkg-config --modversion is not $version"
    read -r -a flags <<<"$(pkg-config --cflags --libs recoptout)"
    [ "${flags[*]}" = "-I$inst/include -L$inst/lib -lrecoptout" ] || fail "unexpected pkg-config flags: ${flags[*]}"
    static=$(pkg-config --static --libs recoptout) || fail "pkg-config --static does not find the needed libraries"
    for library in -lsodium -lzstd -luuid; do
        [[ " $static " == *" $library "* ]] || fail "pkg-config --static does not name $library: $static"
    done
    [[ " $static " != *jansson* ]] || fail "librecoptout needs no jansson, but pkg-config --static says: $static"
    static=$(pkg-config --static --libs recoptout-agent)
    [[ " $static " == *" -ljansson "* && " $static " == *" -lsodium "* ]] || fail "pkg-config --static does not name -ljansson: $static"
    read -r -a agent_flags <<<"$(pkg-config --cflags --libs recoptout-agent)"
    [ "${agent_flags[*]}" = "-I$inst/include -L$inst/lib -lrecoptout-agent -lrecoptout" ] ||
        fail "unexpected pkg-config flags: ${agent_flags[*]}"
    read -r -a kit_flags <<<"$(pkg-config --cflags --libs recoptout-conformance)"
    [ "${kit_flags[*]}" = "-I$inst/include -L$inst/lib -lrecoptout-conformance -pthread -lrecoptout" ] ||
        fail "unexpected pkg-config flags: ${kit_flags[*]}"
else
    echo "note: pkg-config is not installed; recoptout.pc was read by eye" >&2
    flags=(-I"$inst/include" -L"$inst/lib" -lrecoptout)
    agent_flags=(-I"$inst/include" -L"$inst/lib" -lrecoptout-agent -lrecoptout)
    kit_flags=(-I"$inst/include" -L"$inst/lib" -lrecoptout-conformance -pthread -lrecoptout)
fi
"${cc[@]}" -Wall -Wextra -Wpedantic -Werror -Wl,--as-needed "$work/agent.c" "${agent_flags[@]}" \
    -Wl,-rpath,"$inst/lib" -o "$work/agent" ||
    fail "the program for agents does not build"
# It names the second library alone, which finds the first one by itself.
agent_said=$("$work/agent") || fail "the program for agents failed: $agent_said"
[ "$agent_said" = "$version 2" ] || fail "librecoptout-agent says \"$agent_said\" (version, ABI)"
"${cc[@]}" -Wall -Wextra -Wpedantic -Werror "$work/tiny.c" "${flags[@]}" -o "$work/tiny" || fail "the program does not build"
said=$(LD_LIBRARY_PATH=$inst/lib "$work/tiny") || fail "the program failed: $said"
soname=$(LC_ALL=C readelf -d "$work/tiny" | sed -n 's/.*\[librecoptout\.so\.\(.*\)\]/\1/p')
[ "$said" = "$version $soname" ] ||
    fail "loaded library says \"$said\" (version, ABI); header and SONAME say \"$version $soname\""
# The kit is made of what the shared library exports.
"${cc[@]}" -Wall -Wextra -Wpedantic -Werror "$work/conforms.c" "${kit_flags[@]}" -o "$work/conforms" ||
    fail "the program with the conformance kit does not build"
LD_LIBRARY_PATH=$inst/lib "$work/conforms" || fail "the program with the conformance kit failed: $?"
runs_mcp "$inst"
"${make[@]}" uninstall prefix="$inst" >"$work/log" 2>&1 || { cat "$work/log"; fail "make uninstall failed"; }
left=$(find "$inst" ! -type d)
[ -z "$left" ] || fail "uninstall left: $left"
echo "install: $(wc -l <"$work/expected") files, a program built with ${flags[*]:2} says $said, uninstall leaves nothing"
