# SPDX-License-Identifier: MIT
"""What run.sh checks. The last line is "N passed, 0 failed"; the first check that fails ends it with a sentence."""

import fcntl
import glob
import json
import multiprocessing
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
import xml.etree.ElementTree as xml

import pyte

PROGRAM = os.path.join(os.environ["B"], "examples/simulator")
SCRIPTS = "examples/simulator/scripts"
passed = 0


def check(condition, what):
    global passed
    if not condition:
        sys.exit(f"simulator: {what}")
    passed += 1


def run(*arguments, **options):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)
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
for script in ("english", "late_words"):
    lines = rehearse(script, "--fault", "failing-delete")
    check(events(lines).count("erase_retry") >= 3, f"failing-delete does not bite: {events(lines)}")
for fault in ("slow-upload", "failing-delete"):
    lines = rehearse("kept", "--fault", fault)
    check(("fault" in [line["what"] for line in lines]) == (fault == "failing-delete"), "a fault that did not bite is told")
slow, quick = ([line["t"] for line in rehearse("kept", *more) if line.get("event") == "stored"] for more in (["--fault", "slow-upload"], []))
check(slow[0] > quick[0] + 2.9, "slow-upload does not bite")
lines = rehearse("late_words", "--fault", "failing-delete")
check(events(lines).count("erase_retry") >= 1, f"failing-delete: {events(lines)}")
check(events(lines).index("erase_retry") < events(lines).index("verified"), "verified before it was erased")
lines = rehearse("late_words", "--fault", "slow-upload")
check("upload_aborted" in events(lines) or "verified" in events(lines), "slow-upload")
check(rehearse("kept", "--fault", "slow-upload")[-1]["audio_files"] == 2, "a slow store lost a kept call")

# who has hung up is told nothing more
for more in ([], ["--fault", "failing-delete"], ["--fault", "crash"]):
    lines = rehearse("late_words", *more)
    check([line["t"] for line in lines if line["what"] == "agent"] == [0.2], f"the agent speaks to nobody: {lines}")
    check("not said" in [line["what"] for line in lines], "that nobody hears the answer is not told")

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
        words = "".join(root.itertext())
        for line in json.load(open(f"{SCRIPTS}/{script}.json", encoding="utf-8"))["lines"]:
            said = line.get("says", "")  # whole, though over several rows
            check("".join(said.split()) in "".join(words.split()), f"{script}: not in the picture: {said}")
        ticks = [float(e.text.split()[0]) for e in root.iter(space + "text") if e.get("class") == "tick"]
        check(len(ticks) >= 8 and ticks[0] == 0 and ticks == sorted(ticks), f"{script}: time axis {ticks}")
        check(stops == 0 or ("stop at 11.00 s" in words and "The recording has been stopped" in words), f"{script}: {words}")
        check(all(len(p.get("d")) > 500 for p in root.iter(space + "path")), "a leg without a waveform")
    rehearse("late_words", "--picture", f"{folder}/late.svg")
    root = xml.parse(f"{folder}/late.svg").getroot()
    at = {e.get("class"): float(e.get("x1")) for e in root.iter(space + "line") if e.get("class") in ("stop", "end")}
    check(at["stop"] > at["end"] + 100, f"an objection after the hang-up is drawn where it was: {at}")
    rehearse("english", "--fault", "crash", "--picture", f"{folder}/crash.svg")
    svg = open(f"{folder}/crash.svg", encoding="utf-8").read()
    check("recovery" in svg and "process killed" in svg and "hung up" not in svg, "no picture of a crash")
    rehearse("late_words", "--fault", "crash", "--picture", f"{folder}/crash.svg")
    svg = open(f"{folder}/crash.svg", encoding="utf-8").read()
    check("hung up" in svg and "process killed" not in svg, "a call that had been hung up before the crash")
    for script in ("english", "late_words"):
        rehearse(script, "--fault", "failing-delete", "--picture", f"{folder}/failing.svg")
        svg = open(f"{folder}/failing.svg", encoding="utf-8").read()
        check(svg.count("a deletion failed") >= 3 and svg.index("a deletion failed") < svg.index("what was recorded is erased"),
              f"{script}: the failed deletions are not in the picture")  # fmt: skip
    # a folder of one's own is kept, and named; another is removed, and not named
    rehearse("kept", "--folder", f"{folder}/mine")
    check(len(glob.glob(f"{folder}/mine/recordings/*.wav")) == 2, "the folder was not kept")
    _, out, _ = run(f"{SCRIPTS}/kept.json", "--fast", "--folder", f"{folder}/named")
    check(out.splitlines()[-1] == f"kept: 2 recordings in {folder}/named/recordings", out[-300:])
    os.mkdir(f"{folder}/t")
    elsewhere = {**os.environ, "TMPDIR": f"{folder}/t"}
    _, out, _ = run(f"{SCRIPTS}/kept.json", "--fast", env=elsewhere)
    check("temporary folder" in out.splitlines()[-1] and folder not in out and os.listdir(f"{folder}/t") == [], out[-300:])
    # the reader stops reading
    for more in ([], ["--json"], ["--fault", "crash"]):
        command = [PROGRAM, f"{SCRIPTS}/english.json", "--speed", "1000", *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=elsewhere) as head:
            head.stdout.readline()
            head.stdout.close()
            check(head.wait(60) == 1 and head.stderr.read() == b"", f"{more}: ends otherwise when nobody reads")
        check(os.listdir(f"{folder}/t") == [], f"{more}: a folder is left when nobody reads")
    # what is refused leaves no picture
    for arguments in (
        ("--picture", f"{folder}/none.svg"),
        (f"{SCRIPTS}/kept.json", "--picture", f"{folder}/none.svg", "--speed", "0"),
        ("/nonexistent.json", "--picture", f"{folder}/none.svg"),
        (f"{SCRIPTS}/kept.json", "--picture", f"{folder}/none.svg", "--folder", "/nonexistent/x/y"),
    ):
        check(run(*arguments)[0] == 2 and not os.path.exists(f"{folder}/none.svg"), f"{arguments}: a file is left")
    with open(f"{folder}/kept.svg", "w", encoding="utf-8") as file:
        file.write("what was there")
    check(run("/nonexistent.json", "--picture", f"{folder}/kept.svg")[0] == 2, "--picture")
    check(open(f"{folder}/kept.svg", encoding="utf-8").read() == "what was there", "a picture that was there is gone")

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
    refused('[1]', "object of JSON")
    refused('{"lines":[{"at":1e9,"do":"pause"}]}', "3600")
    refused('{"lines":[{"at":1,"who":"agent","says":"%s"}]}' % ("x" * 1000), "999 bytes")
    refused('{"call_id":"%s","lines":[{"at":1,"do":"pause"}]}' % ("x" * 64), "63 bytes")
    refused('{"language":7,"lines":[{"at":1,"do":"pause"}]}', "language")
    refused('{"wav":"x.wav","lines":[{"at":1,"do":"pause"}]}', "wav")
    refused('{"lines":[{"at":2,"do":"pause"},{"at":1,"do":"resume"}]}', "order")
    code, _, err = run(f"{SCRIPTS}/kept.json", "--fast", "--fault", "crash")
    check(code == 1 and "there was no opt-out" in err, "crash without an opt-out")
    with open(f"{folder}/wav.json", "w", encoding="utf-8") as file:
        file.write('{"wav":{"caller":"/nonexistent.wav"},"lines":[{"at":1,"do":"hang_up"}]}')
    code, _, err = run(f"{folder}/wav.json", "--fast")
    check(code == 1 and "is not a WAV file" in err, f"a WAV file that is not there: {err}")
# options: each bad one is told why
for arguments, why in (
    (("--nonsense",), "nonsense"),
    ((), "which script"),
    ((f"{SCRIPTS}/kept.json", f"{SCRIPTS}/german.json"), "one script"),
    ((f"{SCRIPTS}/kept.json", "--speed", "0"), "from 0.01 to 1000"),
    ((f"{SCRIPTS}/kept.json", "--speed", "2x"), "from 0.01 to 1000"),
    ((f"{SCRIPTS}/kept.json", "--speed", "nan"), "from 0.01 to 1000"),
    ((f"{SCRIPTS}/kept.json", "--speed"), "requires an argument"),
    ((f"{SCRIPTS}/kept.json", "--fault", "x"), "slow-upload, failing-delete or crash"),
    ((f"{SCRIPTS}/kept.json", "--fast", "--speed", "3"), "exclude"),
    ((f"{SCRIPTS}/kept.json", "--json", "--plain"), "exclude"),
    ((f"{SCRIPTS}/kept.json", "--dialect", "klingon\033[2J"), "anthropic"),
    ((f"{SCRIPTS}/kept.json", "--picture", "/nonexistent/x.svg"), "No such file"),
    ((f"{SCRIPTS}/kept.json", "--folder", "/nonexistent/x/y"), "No such file"),
    ((f"{SCRIPTS}/kept.json", "--folder", ""), "--folder"),
    (("/nonexistent.json",), "nonexistent"),
):
    code, _, err = run(*arguments)
    check(code == 2 and why in err and "\033" not in err, f"options {arguments}: exit code {code}, {err!r}")
check(run("--help")[0] == 0, "--help")

# what is typed: the phrases that are understood, in a pseudo-terminal without a view
OBJECTIONS = (
    "please don't record me", "Stop recording!", "STOP THE RECORDING", "I don’t want to be recorded", "turn off the recording",
    "Please delete this recording.", "I'd rather not be recorded", "do not record this call", "I object to being recorded",
    "bitte nicht aufnehmen", "Bitte nicht aufzeichnen", "Aufnahme stoppen!", "Ich möchte nicht aufgenommen werden",
    "Stoppen Sie bitte die Aufnahme", "Löschen Sie die Aufzeichnung", "keine Aufnahme, bitte", "Hören Sie auf aufzunehmen",
    "Ich widerspreche der Aufzeichnung", "please do not tape this", "don't tape me", "stop the tape", "quit recording me",
    "Bitte hören Sie auf mit der Aufnahme", "Hör auf mitzuschneiden", "Hören Sie mit der Aufzeichnung auf",
    "Bitte unterlassen Sie die Aufnahme", "Schalten Sie die Aufnahme ab",
)  # fmt: skip
EVERYDAY = (
    "I don't mind being recorded", "Did you stop the recording?", "please don't stop the recording", "Is this call being recorded?",
    "I want to record a complaint", "my medical records, please", "Die Aufnahme stört mich nicht", "Ich habe nichts dagegen",
    "Bitte nehmen Sie meine Bestellung auf", "Warum nehmen Sie auf?", "stop it", "delete my account", "I would not like that", "Hören Sie mich?", "I taped the parcel",
)  # fmt: skip


class Screen(pyte.Screen):
    """With what pyte lacks and a terminal has: several lines scrolled at once (SU, ECMA-48)."""

    def scroll_up(self, count=1):
        top, bottom = self.margins or (0, self.lines - 1)
        at, self.cursor.y = self.cursor.y, bottom
        for _ in range(count or 1):
            self.index()
        self.cursor.y = at


class Stream(pyte.ByteStream):
    csi = {**pyte.ByteStream.csi, "S": "scroll_up"}
    events = pyte.ByteStream.events | {"scroll_up"}


class Terminal:
    """A program in a pseudo-terminal, and what its screen shows."""

    def __init__(self, *arguments, columns=80, rows=24, term="screen-256color", language="C.UTF-8"):
        self.screen = Screen(columns, rows)
        self.stream = Stream(self.screen)
        self.raw, self.ended = b"", None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(PROGRAM, [PROGRAM, *arguments], {"TERM": term, "LC_ALL": language, "PATH": os.environ["PATH"]})

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    @property
    def shown(self):
        return "\n".join(self.screen.display)

    def until(self, wanted, seconds=60):
        """Until the screen satisfies `wanted` (a text, or a question about the terminal), or the program has ended.

        A screen may be read halfway through being drawn: what belongs together is asked together."""
        satisfied = wanted if callable(wanted) else lambda t: wanted in t.shown
        end = time.monotonic() + seconds
        while not satisfied(self):
            check_quietly(time.monotonic() < end and self.ended is None, f"not seen: {wanted}\n{self.shown}\n{self.raw[-600:]!r}")
            self.read(end)

    def read(self, end):
        if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            self.ended = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.raw += data
        self.stream.feed(data)

    def finish(self, seconds=60):
        end = time.monotonic() + seconds
        while self.ended is None:
            check_quietly(time.monotonic() < end, f"does not end\n{self.shown}")
            self.read(end)
        os.close(self.fd)
        return self.ended


def check_quietly(condition, what):
    if not condition:
        sys.exit(f"simulator: {what}")


def typed_row(t):
    return t.screen.display[t.screen.lines - 2].rstrip()


# Each in a process and a terminal of its own, all at once: they mostly wait for simulated time to pass.

def phrases(folder, phrases, heard):
    """Every phrase, in one terminal without a view: an objection is understood, anything else is not."""
    with open(f"{folder}/quiet.json", "w", encoding="utf-8") as file:
        json.dump({"call_id": "quiet", "lines": [{"at": 0.1, "who": "agent", "says": "Hello."}]}, file)
    t = Terminal(f"{folder}/quiet.json", "--plain", "--speed", "20")
    t.until("Hello.")
    for phrase in phrases:
        before = t.raw.count(b"  understood")
        t.type(phrase + "\n")
        t.until(lambda t, p=phrase: re.search(rb"  caller +" + re.escape(p.encode()), t.raw))
        t.type("/nothing\n")
        t.until(lambda t, n=phrases.index(phrase): t.raw.count(b"  help") == n + 1)
        check((t.raw.count(b"  understood") > before) == heard, f"{phrase!r} was {'not ' if heard else ''}understood")
        marked = len(re.findall(rb"  note +not taken for an objection", t.raw))
        check(marked == (0 if heard else phrases.index(phrase) + 1), f"{phrase!r}: that it was not taken for an objection")
    t.type("/hang-up\n")
    check(t.finish(90) == 0 and (b"verified:" if heard else b"kept:") in t.raw, f"{t.raw[-400:]!r}")


def sizes(folder, columns, rows):
    """The view, at the sizes that terminals have."""
    t = Terminal(f"{SCRIPTS}/german.json", "--speed", "8", columns=columns, rows=rows)
    t.until(lambda t: "für Ihren Anruf" in t.shown and "recording" in t.screen.display[0]
            and "rehearsal-german" in t.screen.display[0] and re.search("[▁▂▃▄▅▆▇█]", t.screen.display[2]))  # fmt: skip
    t.type("Größe: ÄÖÜß")
    t.until(lambda t: typed_row(t) == "> Größe: ÄÖÜß")
    t.until(lambda t: "✓ verified" in t.shown and "░" in t.screen.display[2] and "┃" in t.screen.display[1]
            and "stop" in t.screen.display[3] and "of which 0 are left" in t.screen.display[4] and "Wir können" in t.shown
            and typed_row(t) == "> Größe: ÄÖÜß")  # and meanwhile nothing was drawn over it  # fmt: skip
    t.type("\x7f\x7f\x15ein Wort\r")
    t.until(lambda t: "caller      ein Wort" in t.shown and typed_row(t) == ">")
    t.until(lambda t: "the call is over" in t.shown and "verified: 0 recordings" in typed_row(t))
    t.type("\r")
    check(t.finish() == 0 and b"Wir k\xc3\xb6nnen" in t.raw[t.raw.rindex(b"\x1b[?1049l") :], "the transcript stays")


def readme(folder):
    """The picture in its README is what the program shows."""
    with open("examples/simulator/README.md", encoding="utf-8") as file:
        picture = re.search(r"```\n( call rehearsal.*?)```", file.read(), re.S)[1]
    t = Terminal(f"{SCRIPTS}/german.json", "--speed", "3")
    t.until("type what")
    t.type("Bitte nicht aufnehmen")

    def still(line):
        """Without what moves: the clock, and the levels."""
        return re.sub(r"\d\d:\d\d\.\d$|[▮·]+$", "", line.rstrip())

    def missing(t):
        shown = [still(line) for line in t.screen.display]
        return [line for line in picture.splitlines() if still(line) not in shown]

    t.until(lambda t: not missing(t))
    check(not missing(t), "the picture of the README")
    t.type("\x15/quit\r")
    t.finish()


def axis(folder, script, labels, *more):
    """What stands on the time axis can be read: no label over another, and what happened is there."""
    t = Terminal(f"{SCRIPTS}/{script}.json", "--speed", "10", *more)

    def legible(t):
        found = [one for one in t.screen.display[3].strip(" ─").split("─") if one]
        whole = all(re.fullmatch(r"\d+s|stop|hung up|killed", one) for one in found)
        return whole and [one for one in found if one in ("stop", "hung up", "killed")] == labels

    t.until(lambda t: "the call is over" in t.shown and legible(t))
    t.type("\r")
    t.finish()


def typed(folder):
    """Typed: an objection is understood, what follows hang-up is not said, a resize loses nothing."""
    picture = f"{folder}/typed.svg"
    t = Terminal(f"{SCRIPTS}/kept.json", "--speed", "5", "--picture", picture)
    t.until("how can I help")
    t.type("please don't record me\r")
    t.until("understood")
    t.until("✓ verified")
    t.resize(120, 40)
    t.until(lambda t: "type what the caller says" in t.screen.display[39])
    t.resize(30, 10)
    t.until("40 columns and 14 rows")
    t.resize(80, 24)
    t.until(lambda t: "type what the caller says" in t.screen.display[23])
    t.type("/hang-up\r")
    t.until("hang_up")
    t.until("the call is over")
    check("Here it is" not in t.shown, f"the script goes on after a typed hang-up\n{t.shown}")
    t.type("\r")
    check(t.finish() == 0 and b"Here it is" not in t.raw, "the script goes on after a typed hang-up")
    svg = open(picture, encoding="utf-8").read()
    check("please don't record me" in svg and 'id="stop"' in svg, "what was typed is not in the picture")


def late(folder):
    """Typed after the hang-up, in the window."""
    t = Terminal(f"{SCRIPTS}/kept.json", "--speed", "5")
    t.until("how can I help")
    t.type("/hang-up\r")
    t.until("hang_up")
    t.type("Bitte löschen Sie die Aufnahme\r")
    t.until("✓ verified")
    t.until("the call is over")
    t.type("\r")
    check(t.finish() == 0, "late words that were typed")


def crash(folder):
    """A crash in the view: the next process goes on with the screen."""
    t = Terminal(f"{SCRIPTS}/german.json", "--speed", "10", "--fault", "crash")
    t.until("the call is over")
    t.type("\r")
    check(t.finish() == 0, "crash in the view")
    told = t.raw[t.raw.rindex(b"\x1b[?1049l") :].decode()
    order = [told.find(one) for one in ("Bitte nicht aufnehmen.", "crash", "recovery", "verified", "swept")]
    check(-1 not in order and order == sorted(order), f"the next process does not tell the story on: {told}")


def leaving(folder):
    """Leaving: by command, by signal."""
    for leave in ("/quit\r", "\x03"):
        t = Terminal(f"{SCRIPTS}/kept.json")
        t.until("how can I help")
        t.type(leave)
        check(t.finish() == 1 and b"left before it was over" in t.raw and b"SHOULD" not in t.raw, f"{leave!r}: {t.raw[-300:]!r}")


def evil(folder):
    """Nothing from a script, a keyboard or an option commands the terminal."""
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eabc"
    with open(f"{folder}/evil.json", "w", encoding="utf-8") as file:
        json.dump({"lines": [{"at": 0.1, "who": "agent", "says": "before " + evil + " after"}, {"at": 0.5, "do": "opt_out"},
                             {"at": 1, "do": "hang_up"}]}, file)
    done = subprocess.run([PROGRAM, f"{folder}/evil.json", "--fast", "--picture", f"{folder}/evil.svg"], capture_output=True, timeout=60)
    check(done.returncode == 0 and b"before ?[2J?]0;owned??31m?abc after" in done.stdout, f"{done.stdout!r}")
    xml.parse(f"{folder}/evil.svg")
    done = subprocess.run([PROGRAM, f"{folder}/evil.json", "--fast", "--json"], capture_output=True, timeout=60)
    check(b"\x1b" not in done.stdout and b"\x9b" not in done.stdout, "JSON with control characters")
    with open(f"{folder}/broken.json", "wb") as file:
        file.write(b'{"lines": [{"at": \x1b[2J\xff}]}')
    done = subprocess.run([PROGRAM, f"{folder}/broken.json", "--fast"], capture_output=True, timeout=60)
    check(done.returncode == 2 and b"\x1b" not in done.stderr and b"\xff" not in done.stderr, f"{done.stderr!r}")
    t = Terminal(f"{folder}/evil.json", "--speed", "0.2")
    t.until(lambda t: "after" in t.shown and "before ?[2J" in t.shown)
    check(b"owned\x07" not in t.raw, t.shown)
    t.type(b"a\x1b[2Jb\x01\xc2\x9bc\xff\xfed\r")
    t.until(lambda t: re.search("caller +a", t.shown) and "owned" in t.shown and "type what" in t.shown)
    t.type("/quit\r")
    t.finish()


def lines(folder):
    """Lines where there is no terminal for it."""
    t = Terminal(f"{SCRIPTS}/kept.json", "--speed", "30", term="dumb")
    check(t.finish() == 0 and b"\x1b" not in t.raw and b"kept:" in t.raw, f"{t.raw[-300:]!r}")
    done = subprocess.run([PROGRAM, f"{SCRIPTS}/kept.json", "--speed", "50"], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    check(done.returncode == 0 and b"\x1b" not in done.stdout, "escape sequences in a pipe")


def language(folder):
    """A terminal that was told of no language still shows the words."""
    t = Terminal(f"{SCRIPTS}/german.json", "--speed", "20", language="C")
    t.until("für Ihren Anruf")
    t.type("/quit\r")
    t.finish()


SCENARIOS = [
    (phrases, OBJECTIONS, True), (phrases, EVERYDAY, False), (sizes, 80, 24), (sizes, 120, 40), (typed,), (late,), (crash,),
    (leaving,), (evil,), (lines,), (language,), (readme,), (axis, "english", ["stop", "hung up"]), (axis, "kept", ["hung up"]),
    (axis, "late_words", ["hung up", "stop"]), (axis, "english", ["stop", "killed"], "--fault", "crash"),
]  # fmt: skip


def play(scenario):
    """How many checks held, or what did not."""
    global passed
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            scenario[0](folder, *scenario[1:])
        except SystemExit as why:
            return str(why)
    return passed


with multiprocessing.get_context("fork").Pool(len(SCENARIOS)) as pool:
    for result in pool.map(play, SCENARIOS, chunksize=1):
        check_quietly(not isinstance(result, str), str(result).removeprefix("simulator: "))
        passed += result

print(f"{passed} passed, 0 failed")
