# SPDX-License-Identifier: MIT
"""What run.sh checks. The last line is "N passed, 0 failed"; the first check that fails ends it with a sentence."""

import glob
import json
import os
import pty
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

PROGRAM = os.path.join(os.environ["B"], "examples/simulator")
SCRIPTS = "examples/simulator/scripts"
passed = 0


def check(condition, what):
    global passed
    if not condition:
        sys.exit(f"simulator: {what}")
    passed += 1


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def rehearse(script, *arguments):
    code, out, err = run(f"{SCRIPTS}/{script}.json", "--fast", "--json", *arguments)
    check(code == 0, f"{script} {arguments}: exit code {code}: {err}{out[-500:]}")
    return [json.loads(line) for line in out.splitlines()]


def events(lines):
    return [line["event"] for line in lines if line["what"] == "event"]


wanted = {"english": "verified", "german": "verified", "kept": "kept", "late_words": "verified", "untrue_claim": "kept"}
check({os.path.basename(p)[:-5] for p in glob.glob(SCRIPTS + "/*.json")} == set(wanted), "a script is not checked")
for script, status in wanted.items():
    lines = rehearse(script)
    result = lines[-1]
    check(result["what"] == "result" and result["ok"] and result["status"] == status, f"{script}: {result}")
    check(result["audio_files"] == (2 if status == "kept" else 0), f"{script}: {result}")
    check([line["t"] for line in lines] == sorted(line["t"] for line in lines), f"{script}: times go back")
    check(("untrue" in [line["what"] for line in lines]) == (script == "untrue_claim"), f"{script}: claims")
    if status == "verified":
        order = [events(lines).index(e) for e in ("opted_out", "durable", "erased", "verified", "swept")]
        check(order == sorted(order), f"{script}: {events(lines)}")
        kinds = [line["what"] for line in lines]
        check(kinds.index("tool call") < kinds.index("tool answer") < len(kinds) - 1, f"{script}: no tool call")
    else:
        check("opted_out" not in events(lines), f"{script} was opted out")


def told(script):
    """Without what is drawn by chance: ids of recordings and receipts."""
    return [(line["t"], line["what"], line.get("event")) for line in rehearse(script)]


check(told("english") == told("english"), "--fast is not the same every time")
check("gelöscht" in json.dumps(rehearse("german"), ensure_ascii=False), "the sentence is not in German")

# faults
lines = rehearse("english", "--fault", "crash")
check([line["what"] for line in lines].count("crash") == 1 and "recovered" in events(lines), "crash was not recovered")
lines = rehearse("late_words", "--fault", "failing-delete")
check(events(lines).count("erase_retry") >= 1, f"failing-delete: {events(lines)}")
check(events(lines).index("erase_retry") < events(lines).index("verified"), "verified before it was erased")
lines = rehearse("late_words", "--fault", "slow-upload")
check("upload_aborted" in events(lines) or "verified" in events(lines), "slow-upload")
check(rehearse("kept", "--fault", "slow-upload")[-1]["audio_files"] == 2, "a slow store lost a kept call")

# every dialect's tool call
for dialect in ("openai-responses", "openai-realtime", "anthropic", "gemini", "gemini-live", "mcp", "vapi", "retell"):
    check(rehearse("english", "--dialect", dialect)[-1]["ok"], dialect)

with tempfile.TemporaryDirectory() as folder:
    # the picture
    for script, stops in (("english", 1), ("kept", 0)):
        rehearse(script, "--picture", f"{folder}/call.svg")
        root = xml.parse(f"{folder}/call.svg").getroot()
        space = "{http://www.w3.org/2000/svg}"
        check(root.tag == space + "svg", "the picture is not SVG")
        check(len([e for e in root.iter(space + "line") if e.get("id") == "stop"]) == stops, f"{script}: stop in the picture")
        check(all(len(p.get("d")) > 500 for p in root.iter(space + "path")), "a leg without a waveform")
    # a folder of one's own is kept
    rehearse("kept", "--folder", f"{folder}/mine")
    check(len(glob.glob(f"{folder}/mine/recordings/*.wav")) == 2, "the folder was not kept")

    # mistakes are told
    def refused(text, why):
        with open(f"{folder}/bad.json", "w", encoding="utf-8") as file:
            file.write(text)
        code, _, err = run(f"{folder}/bad.json", "--fast")
        check(code == 2 and why in err, f"{text}: exit code {code}, {err!r}")

    refused("{", "line 1")
    refused("{}", '"lines" is a list')
    refused('{"lines":[{"who":"caller","says":"x"}]}', 'needs "at"')
    refused('{"lines":[{"at":1,"who":"dog","says":"x"}]}', '"who"')
    refused('{"lines":[{"at":1,"do":"dance"}]}', '"do" is')
    refused('{"lines":[{"at":2,"do":"pause"},{"at":1,"do":"resume"}]}', "order")
    code, _, err = run(f"{SCRIPTS}/kept.json", "--fast", "--fault", "crash")
    check(code == 1 and "no opt-out" in err, "crash without an opt-out")
    with open(f"{folder}/wav.json", "w", encoding="utf-8") as file:
        file.write('{"wav":{"caller":"/nonexistent.wav"},"lines":[{"at":1,"do":"hang_up"}]}')
    code, _, err = run(f"{folder}/wav.json", "--fast")
    check(code == 1 and "is not a WAV file" in err, f"a WAV file that is not there: {err}")
for arguments in (("--nonsense",), (), (f"{SCRIPTS}/kept.json", "--speed", "0"), (f"{SCRIPTS}/kept.json", "--fault", "x")):
    check(run(*arguments)[0] == 2, f"options {arguments}")
check(run("--help")[0] == 0, "--help")
code, _, err = run(f"{SCRIPTS}/kept.json", "--dialect", "klingon")
check(code == 2 and "anthropic" in err, "an unknown dialect names those there are")

# the keyboard: a pseudo-terminal, on which somebody types
pid, terminal = pty.fork()
if pid == 0:
    os.execv(PROGRAM, [PROGRAM, f"{SCRIPTS}/kept.json", "--speed", "20"])
shown = b""
typed = [(b"how can I help", b"please don't record me\n"), (b"please don't record me\r\n", b"/opt-out\n"), (b"tool answer", b"")]
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if typed and typed[0][0] in shown:
        os.write(terminal, typed[0][1]) if typed[0][1] else None
        typed.pop(0)
status = os.waitpid(pid, 0)[1]
check(os.waitstatus_to_exitcode(status) == 0, f"typed: {shown[-800:]!r}")
check(not typed and b"caller [" in shown and b"verified" in shown, f"typed: {shown[-800:]!r}")

print(f"{passed} passed, 0 failed")
