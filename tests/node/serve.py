# SPDX-License-Identifier: MIT
"""An engine with calls, behind a socket, for tests in other languages.

Usage: serve.py FOLDER CALL_ID... Commands on stdin, a line each; each is answered by one line: `state CALL_ID`, `enable 0|1`,
`definitions`, `stop`, `restart` (its calls are then named CALL_ID-again). Ends at the end of its input.
"""

import json
import os
import sys

import recoptout
from recoptout import agent

folder, call_ids = sys.argv[1], sys.argv[2:]
os.chmod(folder, 0o700)


def begin():
    engine = recoptout.Engine(f"{folder}/state", f"{folder}/out", opt_out_enabled=True, ring_dir=folder, late_opt_out=0, sweep_delay=0)
    calls = {}
    for call_id in call_ids:
        calls[call_id] = call = engine.session(call_id)
        leg = call.add_leg("caller")
        try:
            call.start()
            call.push(leg, b"\x12" * 160)
        except recoptout.OptedOut:
            pass
    engine.serve(f"{folder}/sock")
    return engine, calls


def definitions(engine):
    return {
        dialect + suffix: engine.tool_definition(dialect, url="https://calls.example/tool", strict=bool(suffix))
        for dialect in agent.DIALECTS
        if dialect != "auto"
        for suffix in ("", "-strict")
    }


engine, calls = begin()
print("ready", flush=True)
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    if command == "state":
        print(calls[argument].state, flush=True)
    elif command == "enable":
        engine.opt_out_enabled = argument == "1"
        print("done", flush=True)
    elif command == "definitions":
        print(json.dumps(definitions(engine)), flush=True)
    elif command == "stop":
        engine.close()
        print("done", flush=True)
    elif command == "restart":
        engine.close()
        call_ids = [call_id + "-again" for call_id in call_ids]
        engine, calls = begin()
        print("done", flush=True)
engine.close()
