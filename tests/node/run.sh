#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The agents' side with the platforms' own tools from npm: MCP client and inspector, TypeScript types, JSON Schema, koffi.
# Expects B and RUN_MAKE; npm and Node.js 20 or later.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
B=${B:-build}

if ! command -v npm >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    echo "node: needs Node.js 20 or later with npm, from your system or nodejs.org" >&2
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
if ! cmp -s package-lock.json node_modules/.installed 2>/dev/null; then
    npm ci --no-audit --no-fund --silent
    cp package-lock.json node_modules/.installed
fi
SOURCE_ROOT=$OLDPWD timeout 300 node --test --test-timeout=120000 --test-reporter=tap ./*.test.mjs >log 2>&1 || { cat log; exit 1; }
passed=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' log)
[ "${passed:-0}" -gt 0 ] || { cat log; exit 1; }
echo "$passed passed, 0 failed" >>"${TALLY:-/dev/stdout}"
