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

secret=$(head -c 24 /dev/urandom | base64)
echo " $secret	" >"$work/secret" # no header can bring blanks around it
mkfifo "$work/in" "$work/said"
"$B/examples/webhook" --state "$work/state" --output "$work/out" --secret-file "$work/secret" --language de \
    --call vapi-1 --call vapi-2 --call vapi-3 --call retell-1 --call eleven-1 \
    --call eleven-2 --call untouched <"$work/in" >"$work/said" 2>"$work/log" &
server=$!
exec 8>"$work/in" 9<"$work/said"
read -r -t 30 _ port <&9 || { cat "$work/log"; exit 1; } # "port N"

header="Authorization: Bearer $secret"
# post PATH BODY [CURL_OPTION...]: the status, a line break, the answer
post() {
    local path=$1 body=$2
    shift 2
    curl --silent --max-time 20 --output "$work/answer" --write-out '%{http_code}\n' \
        -H "$header" "$@" --data-binary "$body" "http://127.0.0.1:$port$path"
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

# starts WHY STATUS OPTION...: what it says of its options, in two lines at most; the whole of them is for --help
starts() {
    local why=$1 status=$2 code=0
    shift 2
    "$B/examples/webhook" "$@" >"$work/began" 2>&1 </dev/null || code=$?
    if [ "$code" != "$status" ] || ! grep -qe "$why" "$work/began" || { [ "$status" = 2 ] && [ "$(wc -l <"$work/began")" -gt 3 ]; }; then
        echo "webhook $*: exit code $code, expected $status and /$why/: $(cat "$work/began")" >&2
        exit 1
    fi
    passed=$((passed + 1))
}
echo short >"$work/short"
head -c 300 /dev/zero | tr '\0' x >"$work/long"
: >"$work/empty"
needed=(--state "$work/none" --output "$work/none-out")
starts '--secret-file FILE' 0 --help
starts 'secret of 16' 2 "${needed[@]}" --secret-file "$work/short"
starts 'secret of 16' 2 "${needed[@]}" --secret-file "$work/long"
starts 'secret of 16' 2 "${needed[@]}" --secret-file "$work/empty"
starts 'No such file' 2 "${needed[@]}" --secret-file "$work/absent"
starts 'are needed' 2 "${needed[@]}"
starts 'are needed' 2
starts 'from 0 to 65535' 2 "${needed[@]}" --secret-file "$work/secret" --port 65536
starts 'from 0 to 65535' 2 "${needed[@]}" --secret-file "$work/secret" --port 80x
starts 'from 1 to 3600' 2 "${needed[@]}" --secret-file "$work/secret" --limit 0
starts 'from 1 to 3600' 2 "${needed[@]}" --secret-file "$work/secret" --limit 5x
starts 'unrecognized option' 2 --colour
starts 'said by options' 2 "${needed[@]}" --secret-file "$work/secret" vapi-1
[ ! -e "$work/none" ] || { echo "webhook: it began with options that cannot be used" >&2; exit 1; }

vapi='{"message":{"type":"tool-calls","call":{"id":"vapi-1"},"toolCallList":[{"id":"t1","name":"recording_opt_out","arguments":{"call_id":"untouched"}}]}}'
retell='{"name":"recording_opt_out","args":{"call_id":"untouched"},"call":{"call_id":"retell-1"}}'

expect "no secret" 401 'who are you' "$(header="Authorization: Bearer wrong"; post /vapi "$vapi")"
expect "vapi" 200 '^\{"results":\[\{"name":"recording_opt_out","toolCallId":"t1","result":".*status' "$(post /vapi "$vapi")"
expect "vapi: another message" 200 '^\{"results":\[\]\}$' "$(post /vapi '{"message":{"type":"status-update"}}')"
expect "retell" 200 '^\{"status":"(durable|erased|verified)","sentence":"Die Aufzeichnung' "$(post /retell "$retell")"
expect "retell: another tool" 200 '^\{\}$' "$(post /retell '{"name":"book","call":{"call_id":"untouched"}}')"
expect "elevenlabs" 200 '"receipt_id":"' "$(post /elevenlabs '{"reason":"x"}' -H 'X-Call-Id: eleven-1')"
expect "elevenlabs: no body" 200 '"receipt_id":"' "$(post /elevenlabs '' -H 'X-Call-Id: eleven-1')"
expect "elevenlabs without a call" 400 'no call' "$(post /elevenlabs '{"call_id":"untouched"}')"
# blanks around a field's value are no part of it
expect "a blank behind the call's id" 200 '"status":"(stopped|durable|erased|verified)"' "$(post /elevenlabs '{}' -H $'X-Call-Id: \televen-2 \t')"
expect "blanks around the secret" 200 '^\{\}$' \
    "$(header="Authorization: Bearer   $secret"$' \t'; post /retell '{"interaction_type":"ping_pong"}')"
expect "nothing but blanks" 401 'who are you' "$(header="Authorization: Bearer "$'\t '; post /vapi "$vapi")"
# what cannot be read is not "nothing asked for"
for body in '{{{' '' '5' '"x"' '{"mes' 'a=b&c=d'; do
    expect "vapi, no message: $body" 400 'no message' "$(post /vapi "$body")"
    # the address is this tool's alone: a call, of whom nobody knows
    expect "retell, no message: $body" 200 '"status":"error"' "$(post /retell "$body")"
done
grep -q 'is no message' "$work/log" || { echo "webhook: nothing in the log of a body that is no message" >&2; exit 1; }
gzip -c <<<"$vapi" >"$work/vapi.gz"
gzip -c <<<"$retell" >"$work/retell.gz"
expect "vapi, coded" 415 'content coding' "$(post /vapi "@$work/vapi.gz" -H 'Content-Encoding: gzip')"
expect "retell, coded" 415 'content coding' "$(post /retell "@$work/retell.gz" -H 'Content-Encoding: gzip')"
expect "vapi, coded, and the field is missing" 400 'no message' "$(post /vapi "@$work/vapi.gz")"
grep -q 'Content-Encoding' "$work/log" || { echo "webhook: nothing in the log of a body that is coded" >&2; exit 1; }
expect "elevenlabs, coded: the field names the call" 200 '"receipt_id":"' \
    "$(post /elevenlabs "@$work/vapi.gz" -H 'Content-Encoding: br' -H 'X-Call-Id: eleven-3')"
expect "vapi, not coded though it says so" 200 'toolCallId":"t1","result' \
    "$(post /vapi "${vapi//vapi-1/vapi-4}" -H 'Content-Encoding: gzip')"
expect "vapi, identity" 200 '^\{"results":\[\]\}$' "$(post /vapi '{"message":{"type":"status-update"}}' -H 'Content-Encoding: Identity ')"
expect "vapi, cut off behind the call" 200 'toolCallId":"t1","result' "$(post /vapi '{"message":{"type":"tool-calls","call":{"id":"vapi-5"},"toolCallList":[{"id":"t1","name":"recording_opt_out","arguments":{}}],"x":[')"
# Vapi reads nothing but results: what cannot be done is said in one, and in the log
expect "ours without an envelope" 200 '^\{"results":\[\{"name":"recording_opt_out","toolCallId":"t","error":".*error' \
    "$(post /vapi '{"message":{"type":"tool-calls","toolCallList":[{"id":"t","name":"recording_opt_out"}]}}')"
grep -q 'names a call' "$work/log" || { echo "webhook: nothing in the log of a call that nobody named" >&2; exit 1; }
expect "ours, the call's id is no text" 200 '"toolCallId":"t","error":' \
    "$(post /vapi '{"message":{"type":"tool-calls","call":{"id":5},"toolCallList":[{"id":"t","name":"recording_opt_out"}]}}')"
expect "the scheme in small letters" 200 '^\{\}$' \
    "$(header="authorization: bearer $secret"; post /retell '{"interaction_type":"ping_pong"}')"
expect "before the call is known" 200 '"status":"noted"' "$(post /elevenlabs '{}' -H 'X-Call-Id: later')"
expect "another place" 404 'POST' "$(post /elsewhere '{}')"
expect "vapi tries again" 200 '"toolCallId":"t1","result"' "$(post /vapi "$vapi")"
expect "vapi, its older shape" 200 '^\{"result":"' \
    "$(post /vapi '{"message":{"type":"function-call","call":{"id":"vapi-2"},"functionCall":{"name":"recording_opt_out","parameters":{}}}}')"
for event in call_started call_ended call_analyzed; do
    expect "retell: $event" 200 '^\{\}$' "$(post /retell '{"event":"'$event'","call":{"call_id":"untouched","transcript":"recording_opt_out"}}')"
done
# what the model wrote names no call, and does not beat the header
expect "retell: arguments alone" 200 '"status":"error"' "$(post /retell '{"reason":"x","call":{"call_id":"untouched"}}')"
expect "retell: arguments alone, and a header" 200 '"receipt_id":"' \
    "$(post /retell '{"reason":"x","call":{"call_id":"untouched"}}' -H 'X-Call-Id: retell-1')"
expect "retell: an envelope, and a header" 200 '"receipt_id":"' \
    "$(post /retell '{"name":"recording_opt_out","args":{},"call":{"call_id":"untouched"}}' -H 'X-Call-Id: retell-1')"
expect "an error" 200 '^\{\}$' "$(post /elevenlabs '{"detail":"Not Found"}' -H 'X-Call-Id: untouched')"
# with a conversation of megabytes before it
{
    printf '{"message":{"type":"tool-calls","call":{"id":"vapi-3"},"artifact":{"messages":['
    for _ in $(seq 2000); do printf '{"role":"bot","message":"%01000d"},' 0; done
    printf '{}]},"toolCallList":[{"id":18446744073709551616,"name":"recording_opt_out"}]}}'
} >"$work/big"
expect "vapi: two megabytes" 200 '"toolCallId":18446744073709551616,"result"' "$(post /vapi "@$work/big" -H 'Expect:')"
sed 's/recording_opt_out/book_table/; s/vapi-3/untouched/' "$work/big" >"$work/other"
expect "vapi: two megabytes of another" 200 '^\{"results":\[\]\}$' "$(post /vapi "@$work/other" -H 'Expect:')"

# many that say nothing, and many that say a letter, keep nobody out
python3 - "$port" "$secret" <<'EOF'
import resource, socket, sys, time

port, secret = int(sys.argv[1]), sys.argv[2]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
crowd = []
for i in range(1500):
    crowd.append(socket.create_connection(("127.0.0.1", port), timeout=10))
    if i % 2:
        crowd[-1].sendall(b"POST /elevenlabs HTTP/1.1\r\nX: ")
head = f"POST /elevenlabs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nX-Call-Id: crowded\r\nContent-Length: 2\r\n\r\n"
one = socket.create_connection(("127.0.0.1", port), timeout=8)  # less than those are given who say nothing
one.sendall(head.encode() + b"{}")
answer = one.recv(4096)
assert answer.startswith(b"HTTP/1.1 200"), answer
EOF
passed=$((passed + 1))

# nor those that send a byte now and then, whose time is limited
slow=$(python3 tests/e2e/webhook_slow.py "$B/examples/webhook" "$work")
passed=$((passed + slow))

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
