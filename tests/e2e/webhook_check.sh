#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The webhook of examples/webhook with a real HTTP client: each platform's request, strangers, nonsense.
# Expects B and RUN_MAKE.
set -euo pipefail

cd "$(dirname "$0")/../.."
read -r -a make <<<"${RUN_MAKE:-make --no-print-directory}"
B=${B:-build}
"${make[@]}" -s B="$B" "$B/examples/webhook"
work=$(mktemp -d)
server=
cleanup() {
    exec 8>&- || true # its end ends the server
    [ -z "$server" ] || wait "$server" || true
    rm -rf "$work"
}
trap cleanup EXIT
passed=0

head -c 24 /dev/urandom | base64 >"$work/secret"
secret=$(cat "$work/secret")
mkfifo "$work/in" "$work/said"
"$B/examples/webhook" --state "$work/state" --output "$work/out" --secret-file "$work/secret" --language de \
    --call vapi-1 --call retell-1 --call eleven-1 --call untouched <"$work/in" >"$work/said" 2>"$work/log" &
server=$!
exec 8>"$work/in" 9<"$work/said"
read -r -t 30 _ port <&9 || { cat "$work/log"; exit 1; } # "port N"

# post PATH BODY [CURL_OPTION...]: the status, a line break, the answer
post() {
    local path=$1 body=$2
    shift 2
    curl --silent --max-time 20 --output "$work/answer" --write-out '%{http_code}\n' \
        -H "Authorization: Bearer $secret" "$@" --data-binary "$body" "http://127.0.0.1:$port$path"
    cat "$work/answer"
}

# expect NAME STATUS PATTERN ANSWER
expect() {
    if [ "${4%%$'\n'*}" != "$2" ] || ! grep -qE "$3" <<<"$4"; then
        echo "webhook: $1: expected $2 and /$3/, got: $4" >&2
        cat "$work/log" >&2
        exit 1
    fi
    passed=$((passed + 1))
}

vapi='{"message":{"type":"tool-calls","call":{"id":"vapi-1"},"toolCallList":[{"id":"t1","name":"recording_opt_out","arguments":{"call_id":"untouched"}}]}}'
retell='{"name":"recording_opt_out","args":{"call_id":"untouched"},"call":{"call_id":"retell-1"}}'

expect "no secret" 401 'who are you' "$(secret=wrong; post /vapi "$vapi")"
expect "vapi" 200 '^\{"results":\[\{"name":"recording_opt_out","toolCallId":"t1","result":".*status' "$(post /vapi "$vapi")"
expect "vapi: another message" 200 '^\{"results":\[\]\}$' "$(post /vapi '{"message":{"type":"status-update"}}')"
expect "retell" 200 '^\{"status":"(durable|erased|verified)","sentence":"Die Aufzeichnung' "$(post /retell "$retell")"
expect "retell: another tool" 200 '^\{\}$' "$(post /retell '{"name":"book","call":{"call_id":"untouched"}}')"
expect "elevenlabs" 200 '"receipt_id":"' "$(post /elevenlabs '{"reason":"x"}' -H 'X-Call-Id: eleven-1')"
expect "elevenlabs: no body" 200 '"receipt_id":"' "$(post /elevenlabs '' -H 'X-Call-Id: eleven-1')"
expect "elevenlabs without a call" 400 'no call' "$(post /elevenlabs '{"call_id":"untouched"}')"
expect "nonsense without an envelope" 400 'no call' "$(post /vapi '{{{')"
expect "before the call is known" 200 'not_recording' "$(post /elevenlabs '{}' -H 'X-Call-Id: later')"
expect "another place" 404 'POST' "$(post /elsewhere '{}')"
head -c 400000 /dev/zero | tr '\0' ' ' >"$work/big"
expect "too long" 413 'too long' "$(post /vapi "@$work/big" -H 'Expect:')"

# who was not meant is still recorded: stored when the server ends
exec 8>&-
wait "$server" || { cat "$work/log"; exit 1; }
server=
if grep -rq untouched "$work/state/ledger"; then
    echo "webhook: a call was opted out that nobody meant" >&2
    exit 1
fi
grep -rq retell-1 "$work/state/ledger" || { echo "webhook: an opt-out is not in the ledger" >&2; exit 1; }
echo "$((passed + 2)) passed, 0 failed" >>"${TALLY:-/dev/stdout}"
